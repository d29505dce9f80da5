using System.Globalization;
using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using Serverless.Catalog;
using Serverless.Hosting.Records;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Hosting.Sessions;

/// <summary>What workers and dispatchers say to each other, as messages of <c>sessions.proto</c>. A kind that this release does not know reads as null and is passed over.</summary>
internal static class SessionCodec
{
    /// <summary>Version of the contract that this release speaks; it understands every one from 1.</summary>
    public const int Version = 1;

    private const int LongestBuffered = 4096;

    private const int LongestName = 256;
    private const int MostEndpoints = 64;
    private const int MostFeatures = 256;
    private const int MostSlots = 65_536;

    /// <summary>No engine holds so many, and so many of all workers can be added up.</summary>
    private const long MostTokens = 1L << 40;

    private static readonly long LatestUnixMs = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();

    private const double MostTokensPerSecond = 10_000_000;

    private static readonly WriteOptions Buffered = new(WriteFlags.BufferHint);

    /// <summary>Short messages that another follows at once go out with it.</summary>
    public static WriteOptions? Options<T>(IMessage record, ChannelReader<T> rest) => record.CalculateSize() <= LongestBuffered && rest.TryPeek(out _) ? Buffered : null;

    public static Wire.Hello ToRecord(WorkerDescription worker)
    {
        var hello = new Wire.Hello
        {
            Version = Version,
            Worker = worker.Worker,
            Pool = worker.Pool.Value,
            Model = worker.Model.Value,
            Engine = worker.Engine,
            KvCapacityTokens = worker.KvCapacityTokens,
            Slots = worker.Slots,
            Loading = worker.Loading,
            SinceUnixMs = worker.Since?.ToUnixTimeMilliseconds() ?? 0,
            HighestEpoch = worker.HighestEpoch,
        };
        hello.Endpoints.AddRange(worker.Endpoints);
        hello.Features.AddRange(worker.Features);
        hello.Running.AddRange(worker.Running.Select(held => new Wire.RunningAttempt { Id = held.Id.Value, Attempt = held.Attempt, LastSequence = held.LastSequence, StoreRun = held.StoreRun }));
        return hello;
    }

    /// <exception cref="InvalidDataException">It is no worker's hello; the message says why.</exception>
    public static WorkerDescription FromRecord(Wire.Hello hello)
    {
        Require(hello.Version >= 1, "version", hello.Version, "1 or more");
        RequireName(hello.Worker, "worker");
        RequireName(hello.Pool, "pool");
        RequireName(hello.Model, "model");
        Require(hello.Engine.Length <= LongestName, "engine", $"{hello.Engine.Length} characters", $"at most {LongestName} characters");
        Require(hello.Endpoints.Count <= MostEndpoints, "endpoints", $"{hello.Endpoints.Count} names", $"at most {MostEndpoints} names");
        foreach (var endpoint in hello.Endpoints) RequireName(endpoint, "endpoints");
        Require(hello.Features.Count <= MostFeatures, "features", $"{hello.Features.Count} names", $"at most {MostFeatures} names");
        foreach (var feature in hello.Features) RequireName(feature, "features");
        var least = hello.Loading ? 0 : 1; // a worker that loads may not know yet
        RequireCount(hello.Slots, least, MostSlots, "slots");
        RequireCount(hello.KvCapacityTokens, least, MostTokens, "kv_capacity_tokens");
        RequireCount(hello.SinceUnixMs, 0, LatestUnixMs, "since_unix_ms");
        RequireCount(hello.HighestEpoch, 0, long.MaxValue, "highest_epoch");
        foreach (var held in hello.Running)
        {
            RequireName(held.Id, "running.id");
            Require(held.StoreRun.Length <= LongestName, "running.store_run", $"{held.StoreRun.Length} characters", $"at most {LongestName} characters");
            RequireCount(held.Attempt, 1, int.MaxValue - 1, "running.attempt");
            RequireCount(held.LastSequence, 0, long.MaxValue - 1, "running.last_sequence");
        }

        return new WorkerDescription
        {
            Worker = hello.Worker,
            Pool = new PoolName(hello.Pool),
            Model = new ModelName(hello.Model),
            Engine = hello.Engine,
            KvCapacityTokens = hello.KvCapacityTokens,
            Slots = hello.Slots,
            Loading = hello.Loading,
            Since = hello.SinceUnixMs > 0 ? DateTimeOffset.FromUnixTimeMilliseconds(hello.SinceUnixMs) : null,
            Running = [.. hello.Running.Select(held => new AttemptClaim(new RequestId(held.Id), held.Attempt, held.LastSequence) { StoreRun = held.StoreRun })],
            HighestEpoch = hello.HighestEpoch,
            Endpoints = [.. hello.Endpoints],
            Features = [.. hello.Features],
        };
    }

    public static Wire.FromWorker ToRecord(WorkerMessage message) => message switch
    {
        WorkerMessage.Report { Load: var load } => new Wire.FromWorker { Report = ToRecord(load) },
        WorkerMessage.AttemptEnded ended => new Wire.FromWorker
        {
            AttemptEnded = new Wire.AttemptEnded { Id = ended.Id.Value, Outcome = ToNumber(ended.Outcome), OutputTokens = ended.OutputTokens, Attempt = ended.Attempt, How = ended.How is { } how ? (int)how + 1 : 0, CachedTokens = ended.CachedTokens },
        },
        WorkerMessage.StoreChanged changed => new Wire.FromWorker { StoreChanged = new Wire.StoreChanged { Id = changed.Id.Value, Attempt = changed.Attempt } },
        WorkerMessage.Draining => new Wire.FromWorker { Draining = new Wire.Draining() },
        _ => throw new ArgumentOutOfRangeException(nameof(message), message, "Give this message its record in SessionCodec."),
    };

    /// <summary>Null: this release does not know it, or cannot read it. Never throws.</summary>
    public static WorkerMessage? FromRecord(Wire.FromWorker record)
    {
        try
        {
            return Read(record);
        }
        catch (Exception exception) when (exception is InvalidDataException or ArgumentException)
        {
            return null;
        }
    }

    private static WorkerMessage? Read(Wire.FromWorker record) => record.KindCase switch
    {
        Wire.FromWorker.KindOneofCase.Report => new WorkerMessage.Report(FromRecord(record.Report)),
        Wire.FromWorker.KindOneofCase.AttemptEnded => new WorkerMessage.AttemptEnded(new RequestId(record.AttemptEnded.Id), ToOutcome(record.AttemptEnded.Outcome), Math.Max(0, record.AttemptEnded.OutputTokens))
        {
            Attempt = Math.Max(0, record.AttemptEnded.Attempt),
            How = record.AttemptEnded.How is >= 1 and <= 3 ? (RequestOutcome)(record.AttemptEnded.How - 1) : null,
            CachedTokens = Math.Max(0, record.AttemptEnded.CachedTokens),
        },
        Wire.FromWorker.KindOneofCase.StoreChanged => new WorkerMessage.StoreChanged(new RequestId(record.StoreChanged.Id), record.StoreChanged.Attempt),
        Wire.FromWorker.KindOneofCase.Draining => new WorkerMessage.Draining(),
        _ => null,
    };

    public static Wire.FromDispatcher ToRecord(DispatcherMessage message) => message switch
    {
        DispatcherMessage.Assign assign => new Wire.FromDispatcher { Assign = ToRecord(assign.Assignment) },
        DispatcherMessage.Cancel cancel => new Wire.FromDispatcher { Cancel = new Wire.Cancel { Id = cancel.Id.Value } },
        DispatcherMessage.Preempt preempt => new Wire.FromDispatcher { Preempt = new Wire.Preempt { Id = preempt.Id.Value } },
        DispatcherMessage.Refence refence => new Wire.FromDispatcher
        {
            Refence = new Wire.Refence { Id = refence.Id.Value, Fence = ToRecord(refence.Fence), LastSequence = refence.LastSequence },
        },
        DispatcherMessage.Drain => new Wire.FromDispatcher { Drain = new Wire.Drain() },
        _ => throw new ArgumentOutOfRangeException(nameof(message), message, "Give this message its record in SessionCodec."),
    };

    /// <summary>
    /// Null: this release does not know it. An assignment that it cannot read comes as <see cref="DispatcherMessage.Unreadable"/>, with what its sender must know to give it to another.
    /// Never throws.
    /// </summary>
    public static DispatcherMessage? FromRecord(Wire.FromDispatcher record)
    {
        try
        {
            return Read(record);
        }
        catch (Exception exception) when (exception is InvalidDataException or ArgumentException)
        {
            return record.Assign is { Request.Id: { Length: > 0 } id } assign ? new DispatcherMessage.Unreadable(new RequestId(id), assign.Fence?.Attempt ?? 0, exception.Message) : null;
        }
    }

    private static DispatcherMessage? Read(Wire.FromDispatcher record) => record.KindCase switch
    {
        Wire.FromDispatcher.KindOneofCase.Assign => new DispatcherMessage.Assign(new Assignment(
            RequestCodec.FromRecord(record.Assign.Request ?? throw new InvalidDataException("An assignment without its request."), record.Assign.Body.Memory),
            FromRecord(record.Assign.Fence),
            Sequence(record.Assign.LastSequence),
            [.. record.Assign.Output.Select(EventCodec.FromRecord)])),
        Wire.FromDispatcher.KindOneofCase.Cancel => new DispatcherMessage.Cancel(new RequestId(record.Cancel.Id)),
        Wire.FromDispatcher.KindOneofCase.Preempt => new DispatcherMessage.Preempt(new RequestId(record.Preempt.Id)),
        Wire.FromDispatcher.KindOneofCase.Refence => new DispatcherMessage.Refence(new RequestId(record.Refence.Id), FromRecord(record.Refence.Fence), Sequence(record.Refence.LastSequence)),
        Wire.FromDispatcher.KindOneofCase.Drain => new DispatcherMessage.Drain(),
        _ => null,
    };

    private static Wire.Assign ToRecord(Assignment assignment)
    {
        var record = new Wire.Assign
        {
            Request = RequestCodec.ToRecord(assignment.Request),
            Body = UnsafeByteOperations.UnsafeWrap(assignment.Request.Body),
            Fence = ToRecord(assignment.Fence),
            LastSequence = assignment.LastSequence,
        };
        record.Output.AddRange(assignment.Output.Select(EventCodec.ToRecord));
        return record;
    }

    private static Wire.Fence ToRecord(Fence fence) => new() { StoreRun = fence.StoreRun, Attempt = fence.Attempt };

    private static Fence FromRecord(Wire.Fence? record) =>
        record is null ? throw new InvalidDataException("A message without its fence.")
        : record.Attempt is < 1 or int.MaxValue ? throw new InvalidDataException($"A fence of attempt {record.Attempt}; attempts count from 1.")
        : new(record.StoreRun, record.Attempt);

    /// <summary>The next one is appended: it must be there.</summary>
    private static long Sequence(long last) => last is >= 0 and < long.MaxValue ? last : throw new InvalidDataException($"A log's last sequence of {last}; sequences count from 1, and 0 is none.");

    private static Wire.Report ToRecord(WorkerLoad load)
    {
        var report = new Wire.Report
        {
            Running = load.Running,
            KvUsedTokens = load.KvUsedTokens,
            PrefillTokensPerSecond = load.PrefillTokensPerSecond,
            DecodeTokensPerSecond = load.DecodeTokensPerSecond,
            LoadingProgress = load.LoadingProgress,
            Pulling = load.Pulling,
            WaitingPromptTokens = load.WaitingPromptTokens,
        };
        if (load.CachedPromptShare is { } share) report.CachedPromptShare = share;
        return report;
    }

    private static WorkerLoad FromRecord(Wire.Report report) =>
        new(Math.Clamp(report.Running, 0, MostSlots), Math.Clamp(report.KvUsedTokens, 0, MostTokens), Rate(report.PrefillTokensPerSecond), Rate(report.DecodeTokensPerSecond))
        {
            LoadingProgress = Math.Clamp(Finite(report.LoadingProgress), 0, 1),
            Pulling = report.Pulling,
            WaitingPromptTokens = Math.Clamp(report.WaitingPromptTokens, 0, MostTokens),
            CachedPromptShare = report.HasCachedPromptShare ? Math.Clamp(Finite(report.CachedPromptShare), 0, 1) : null,
        };

    private static int ToNumber(AttemptOutcome outcome) => outcome switch
    {
        AttemptOutcome.Ended => 0,
        AttemptOutcome.Returned => 1,
        AttemptOutcome.Fenced => 2,
        AttemptOutcome.Lost => 3,
        AttemptOutcome.NotUnderstood => 4,
        AttemptOutcome.Failed => 5,
        AttemptOutcome.Busy => 6,
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, "Give this outcome its number in SessionCodec."),
    };

    /// <summary>An outcome that this release does not know did not end the request: it is begun again.</summary>
    private static AttemptOutcome ToOutcome(int number) => number switch
    {
        0 => AttemptOutcome.Ended,
        2 => AttemptOutcome.Fenced,
        3 => AttemptOutcome.Lost,
        4 => AttemptOutcome.NotUnderstood,
        5 => AttemptOutcome.Failed,
        6 => AttemptOutcome.Busy,
        _ => AttemptOutcome.Returned,
    };

    /// <summary>A rate decides who gets work: none is taken that no accelerator has.</summary>
    private static double Rate(double value) => Math.Min(Finite(value), MostTokensPerSecond);

    private static double Finite(double value) => double.IsFinite(value) && value > 0 ? value : 0;

    private static void RequireName(string name, string field) =>
        Require(name.Length is > 0 and <= LongestName && !name.Any(char.IsControl), field, name.Length <= LongestName ? name : $"{name.Length} characters", $"1 to {LongestName} characters without control characters");

    private static void RequireCount(long value, long least, long most, string field) => Require(value >= least && value <= most, field, value, $"{least} to {most}");

    private static void Require(bool holds, string field, object value, string allowed)
    {
        if (!holds) throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture, $"The hello's '{field}' is '{value}'; it takes {allowed}."));
    }
}
