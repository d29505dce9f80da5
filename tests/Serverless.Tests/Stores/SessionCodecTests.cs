using Google.Protobuf;
using Serverless.Hosting.Sessions;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;
using Wire = Serverless.Hosting.Sessions.Wire;

namespace Serverless.Tests.Stores;

public sealed class SessionCodecTests
{
    [Fact]
    public void An_assignment_that_cannot_be_read_is_told_and_ends_nothing()
    {
        var request = TestRequests.New();
        var record = SessionCodec.ToRecord(new DispatcherMessage.Assign(new Assignment(request, new Fence("0123456789abcdef", 3), 0, [])));
        record.Assign.Request.Lane = 4711; // of tomorrow

        var read = SessionCodec.FromRecord(record);

        var unreadable = read.ShouldBeOfType<DispatcherMessage.Unreadable>();
        (unreadable.Id, unreadable.Attempt).ShouldBe((request.Id, 3));
    }

    [Fact]
    public void Whatever_bytes_come_reading_them_throws_nothing_else_than_a_parser_does()
    {
        var random = new Random(12);
        var seeds = new IMessage[]
        {
            SessionCodec.ToRecord(new DispatcherMessage.Assign(new Assignment(TestRequests.New(), new Fence("0123456789abcdef", 3), 0, [new ChoiceChunk(0, 0, [1, 2], "x")]))),
            SessionCodec.ToRecord(new DispatcherMessage.Refence(TestRequests.New().Id, new Fence("0123456789abcdef", 3), 5)),
            SessionCodec.ToRecord(new WorkerMessage.AttemptEnded(TestRequests.New().Id, AttemptOutcome.Lost, 3)),
            SessionCodec.ToRecord(new WorkerMessage.Report(new WorkerLoad(1, 2, double.MaxValue, double.NaN))),
            new Wire.FromDispatcher { Assign = new Wire.Assign() },
            new Wire.FromDispatcher { Refence = new Wire.Refence() },
            new Wire.FromWorker { AttemptEnded = new Wire.AttemptEnded() },
        };
        for (var round = 0; round < 20_000; round++)
        {
            var bytes = seeds[round % seeds.Length].ToByteArray();
            for (var changes = random.Next(4); changes > 0 && bytes.Length > 0; changes--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            try
            {
                SessionCodec.FromRecord(Wire.FromDispatcher.Parser.ParseFrom(bytes));
                SessionCodec.FromRecord(Wire.FromWorker.Parser.ParseFrom(bytes));
            }
            catch (InvalidProtocolBufferException)
            {
                // No message at all: that ends a link, rightly.
            }
        }
    }

    [Fact]
    public void A_worker_boasts_of_no_rate_that_would_win_it_all_work()
    {
        var read = SessionCodec.FromRecord(SessionCodec.ToRecord(new WorkerMessage.Report(new WorkerLoad(-5, -7, double.MaxValue, 50)))).ShouldBeOfType<WorkerMessage.Report>().Load;

        (read.Running, read.KvUsedTokens, read.DecodeTokensPerSecond).ShouldBe((0, 0, 50));
        read.PrefillTokensPerSecond.ShouldBeLessThanOrEqualTo(10_000_000);
    }
}
