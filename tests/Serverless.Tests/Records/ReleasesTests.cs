using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.Records;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Records;

/// <summary>Records of one release before another: the next adds fields, the previous lacks them, and both are read.</summary>
public sealed class ReleasesTests
{
    // Field 1000 with a length and "later": what a later release might add.
    private static readonly byte[] LaterField = [0xC2, 0x3E, 5, .. "later"u8];

    private static readonly RequestEvent[] Events =
    [
        new RequestEvent.Accepted(TestRequests.Deadline),
        new RequestEvent.Started(2, "replica-0", TestRequests.Deadline),
        TestRequests.Chunk(7, "text"),
        new RequestEvent.Finished(new TokenUsage(1, 2, 3)),
        new RequestEvent.Failed(new ServingFault(ServingError.EngineFailed, "It failed.")),
        new RequestEvent.Cancelled("The test ends it."),
    ];

    [Fact]
    public void An_event_with_fields_of_a_later_release_reads_as_far_as_it_is_known()
    {
        foreach (var logged in Events)
        {
            TestRequests.Show(EventCodec.Decode((byte[])[.. EventCodec.Encode(logged), .. LaterField])).ShouldBe(TestRequests.Show(logged));
            TestRequests.Show(EventCodec.Decode((byte[])[.. LaterField, .. EventCodec.Encode(logged)])).ShouldBe(TestRequests.Show(logged));
        }
    }

    [Fact]
    public void An_event_of_an_earlier_release_reads_with_what_it_lacks_left_at_rest()
    {
        // Field 3, a chunk, of one empty choice; field 4, usage, with nothing in it; field 5, a fault of an unknown kind.
        TestRequests.Show(EventCodec.Decode((byte[])[0x1A, 2, 0x0A, 0])).ShouldBe(TestRequests.Show(new RequestEvent.Chunk([new ChoiceChunk(0, 0, [], "")])));
        TestRequests.Show(EventCodec.Decode((byte[])[0x22, 0])).ShouldBe(TestRequests.Show(new RequestEvent.Finished(new TokenUsage(0, 0))));
        EventCodec.Decode((byte[])[0x2A, 5, 0x0A, 3, .. "New"u8]).ShouldBeOfType<RequestEvent.Failed>().Fault.Error.ShouldBe(ServingError.Internal);
    }

    [Fact]
    public void A_kind_of_event_that_is_unknown_and_bytes_that_are_none_are_errors_that_say_so()
    {
        Should.Throw<InvalidDataException>(() => EventCodec.Decode(LaterField)).Message.ShouldContain("roll-out");
        Should.Throw<InvalidDataException>(() => EventCodec.Decode((byte[])[0xFF])).Message.ShouldContain("1 bytes");
    }

    [Fact]
    public void A_head_with_fields_of_a_later_release_reads_as_far_as_it_is_known()
    {
        var head = new LogHead(new ModelName("tiny"), Promise.Id, "gateway-0", TestRequests.Deadline) { Resumable = true };

        var read = HeadCodec.Decode((byte[])[.. HeadCodec.Encode(head), .. LaterField], Promise.Id, "gateway-0");

        (read with { Shape = default }).ShouldBe(head);
    }
}
