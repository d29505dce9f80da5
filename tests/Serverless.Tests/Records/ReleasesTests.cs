using CsCheck;
using Google.Protobuf;
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
    public void A_kind_of_event_that_is_unknown_and_bytes_that_are_none_are_passed_over()
    {
        EventCodec.Decode(LaterField).ShouldBeOfType<RequestEvent.Unknown>().What.ShouldContain("roll-out");
        EventCodec.Decode((byte[])[0xFF]).ShouldBeOfType<RequestEvent.Unknown>().What.ShouldContain("1 bytes");
        EventCodec.Decode((byte[])[0x0A, 10, 8, .. Enumerable.Repeat((byte)0xFF, 8), 0x7F]).ShouldBeOfType<RequestEvent.Unknown>("a time beyond all calendars");
        EventCodec.DecodeAll([.. EventCodec.EncodeAll(Events), 0xFF]).ShouldSatisfyAllConditions(all => all.Count.ShouldBe(Events.Length + 1), all => all[^1].ShouldBeOfType<RequestEvent.Unknown>());
        Gen.Byte.Array[0, 60].Sample(bytes => Should.NotThrow(() => EventCodec.Decode(bytes)));
        HeadCodec.Decode((byte[])[0xFF], Promise.Id, "").ShouldBeNull();
    }

    [Fact]
    public void A_request_of_an_endpoint_to_come_keeps_its_name_and_one_of_a_lane_to_come_is_left_to_others()
    {
        var request = TestRequests.New() with { Endpoint = new EndpointName("responses") };
        var record = RequestCodec.ToRecord(request);
        RequestCodec.TryRead(record, request.Body, out var read, out _).ShouldBeTrue();
        (read!.Endpoint, read.Endpoint.IsKnown).ShouldBe((request.Endpoint, false));
        record.Kind.ShouldBe(2, "no chat completion for a release that reads the number only");

        foreach (var (change, field) in new (Action<Hosting.Records.Wire.RequestRecord>, string)[]
        {
            (later => later.LaneName = "tomorrow", "lane"), (later => (later.LaneName, later.Lane) = ("", 9), "lane"),
            (later => later.PromiseName = "batch", "promise"), (later => (later.Endpoint, later.Kind) = ("", 7), "kind"),
        })
        {
            var later = RequestCodec.ToRecord(TestRequests.New());
            change(later);
            RequestCodec.TryDecode(later.ToByteArray(), default, out _, out var reason).ShouldBeFalse();
            (reason!.Field, reason.IsLater).ShouldBe((field, true));
        }
    }

    [Fact]
    public void A_request_that_no_release_wrote_is_told_from_one_of_tomorrow()
    {
        var record = RequestCodec.ToRecord(TestRequests.New());
        record.DeadlineUnixMs = long.MaxValue;
        RequestCodec.TryRead(record, default, out _, out var reason).ShouldBeFalse();
        (reason!.Field, reason.IsLater).ShouldBe(("deadline_unix_ms", false));
        Gen.Byte.Array[0, 60].Sample(bytes => Should.NotThrow(() => { RequestCodec.TryDecode(bytes, default, out _, out _); }));
    }

    [Fact]
    public void Chunks_carry_calls_of_tools_reasoning_and_any_reason_and_version_1_reads_an_end()
    {
        var chunk = new ChoiceChunk(0, 0, [1], "") { Reasoning = "hm", ToolCalls = [new ToolCallFragment(0, "call_1", "find", "{\"a\":")], Finish = FinishReason.ToolCalls };

        TestRequests.Show(EventCodec.Decode(EventCodec.Encode(new RequestEvent.Chunk([chunk])))).ShouldBe(TestRequests.Show(new RequestEvent.Chunk([chunk])));
        EventCodec.ToRecord(chunk).Finish.ShouldBe(1);
        foreach (var end in new RequestEvent[] { new RequestEvent.Cancelled("gone", new TokenUsage(1, 2, 3)), new RequestEvent.Failed(new ServingFault(ServingError.Poisoned, "It."), new TokenUsage(4, 5)) })
        {
            TestRequests.Show(EventCodec.Decode(EventCodec.Encode(end))).ShouldBe(TestRequests.Show(end));
        }
    }

    [Fact]
    public void A_head_with_fields_of_a_later_release_reads_as_far_as_it_is_known()
    {
        var head = new LogHead(new ModelName("tiny"), Promise.Id, "gateway-0", TestRequests.Deadline) { Resumable = true };

        var read = HeadCodec.Decode((byte[])[.. HeadCodec.Encode(head), .. LaterField], Promise.Id, "gateway-0");

        (read! with { Shape = default }).ShouldBe(head);
    }
}
