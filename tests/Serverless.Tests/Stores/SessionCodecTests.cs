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
        record.Assign.Request.LaneName = "tomorrow";

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

    [Theory]
    [InlineData("slots", "65536")]
    [InlineData("kv_capacity_tokens", "1099511627776")]
    [InlineData("since_unix_ms", "253402300799999")]
    [InlineData("running.attempt", "1 to 2147483646")]
    [InlineData("running.last_sequence", "0 to 9223372036854775806")]
    [InlineData("running.id", "256 characters")]
    public void A_hello_whose_figures_nobody_could_reckon_with_is_refused_by_name_and_bound(string field, string bound)
    {
        foreach (var loading in new[] { false, true })
        {
            var hello = new Wire.Hello { Version = 1, Worker = "w-0", Pool = "w", Model = "m", Slots = 4, KvCapacityTokens = 4096, Loading = loading };
            SessionCodec.FromRecord(hello).Slots.ShouldBe(4);
            if (field == "slots") hello.Slots = int.MaxValue;
            if (field == "kv_capacity_tokens") hello.KvCapacityTokens = long.MaxValue;
            if (field == "since_unix_ms") hello.SinceUnixMs = long.MaxValue;
            if (field == "running.attempt") hello.Running.Add(new Wire.RunningAttempt { Id = "r", Attempt = int.MaxValue });
            if (field == "running.last_sequence") hello.Running.Add(new Wire.RunningAttempt { Id = "r", Attempt = 1, LastSequence = long.MaxValue });
            if (field == "running.id") hello.Running.Add(new Wire.RunningAttempt { Id = "r\n", Attempt = 1 });

            Should.Throw<InvalidDataException>(() => SessionCodec.FromRecord(hello)).Message.ShouldSatisfyAllConditions(message => message.ShouldContain($"'{field}'"), message => message.ShouldContain(bound));
        }
    }

    /// <summary>Whatever a hello says, it is a description or an <see cref="InvalidDataException"/>, and what is made of it can be made.</summary>
    [Fact]
    public void Whatever_a_hello_says_nothing_overflows()
    {
        var random = new Random(7);
        long[] extremes = [long.MinValue, int.MinValue, -1, 0, 1, 65_536, int.MaxValue, 253402300799999, 253402300800000, long.MaxValue];
        for (var round = 0; round < 2_000; round++)
        {
            var hello = new Wire.Hello { Version = 1, Worker = "w-0", Pool = "w", Model = "m", Slots = (int)One(), KvCapacityTokens = One(), SinceUnixMs = One(), HighestEpoch = One(), Loading = random.Next(2) == 0 };
            if (random.Next(2) == 0) hello.Running.Add(new Wire.RunningAttempt { Id = "r", Attempt = (int)One(), LastSequence = One() });
            try
            {
                var worker = SessionCodec.FromRecord(hello);
                checked((4 * worker.Slots) + 64).ShouldBeGreaterThan(0);
                foreach (var held in worker.Running) checked(held.Attempt + held.LastSequence + 1).ShouldBeGreaterThan(0);
            }
            catch (InvalidDataException)
            {
                // Refused, with the reason.
            }
        }

        long One() => extremes[random.Next(extremes.Length)];
    }

    [Fact]
    public void Loads_and_ends_are_bounded_so_that_those_of_all_workers_can_be_added_up()
    {
        var load = SessionCodec.FromRecord(SessionCodec.ToRecord(new WorkerMessage.Report(new WorkerLoad(int.MaxValue, long.MaxValue, 1, 1) { WaitingPromptTokens = long.MaxValue }))).ShouldBeOfType<WorkerMessage.Report>().Load;
        var ended = SessionCodec.FromRecord(SessionCodec.ToRecord(new WorkerMessage.AttemptEnded(new RequestId("r"), AttemptOutcome.Ended, -5) { Attempt = -1 })).ShouldBeOfType<WorkerMessage.AttemptEnded>();

        load.Running.ShouldBe(65_536);
        Enumerable.Repeat(load.KvUsedTokens + load.WaitingPromptTokens, 100_000).Sum().ShouldBeGreaterThan(0);
        (ended.OutputTokens, ended.Attempt).ShouldBe((0, 0));
    }

    [Fact]
    public void A_fence_or_sequence_that_no_log_gives_is_told_as_unreadable()
    {
        var good = SessionCodec.ToRecord(new DispatcherMessage.Assign(new Assignment(TestRequests.New(), new Fence("0123456789abcdef", 3), 5, [])));
        SessionCodec.FromRecord(good).ShouldBeOfType<DispatcherMessage.Assign>();

        var (fence, sequence) = (good.Clone(), good.Clone());
        fence.Assign.Fence.Attempt = 0;
        sequence.Assign.LastSequence = long.MaxValue;

        SessionCodec.FromRecord(fence).ShouldBeOfType<DispatcherMessage.Unreadable>().Reason.ShouldContain("attempt 0");
        SessionCodec.FromRecord(sequence).ShouldBeOfType<DispatcherMessage.Unreadable>().Reason.ShouldContain("9223372036854775807");
    }

    [Fact]
    public void A_worker_boasts_of_no_rate_that_would_win_it_all_work()
    {
        var read = SessionCodec.FromRecord(SessionCodec.ToRecord(new WorkerMessage.Report(new WorkerLoad(-5, -7, double.MaxValue, 50)))).ShouldBeOfType<WorkerMessage.Report>().Load;

        (read.Running, read.KvUsedTokens, read.DecodeTokensPerSecond).ShouldBe((0, 0, 50));
        read.PrefillTokensPerSecond.ShouldBeLessThanOrEqualTo(10_000_000);
    }
}
