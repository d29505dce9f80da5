using System.Text;
using Google.Protobuf;
using RabbitMQ.Client;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.Dapr;
using Serverless.Hosting.RabbitMq.Messages;
using Serverless.Hosting.Records;
using Serverless.Hosting.Sessions;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Tests.Records;

/// <summary>
/// One of everything that goes from process to process or lies in a store, as version 1 wrote it: the bytes are in <c>version-1.txt</c> and are never written again. What each must be read
/// as is here.
/// </summary>
internal static class Version1
{
    private static readonly DateTimeOffset At = DateTimeOffset.FromUnixTimeMilliseconds(1_790_000_000_123);

    private static readonly InferenceRequest Request = new()
    {
        Id = new RequestId("chatcmpl-000000000000000000000001"),
        Model = new ModelName("tiny"),
        Endpoint = EndpointName.Completions,
        Body = "{\"prompt\":\"é\"}"u8.ToArray(),
        PromptTokens = 10,
        MaxOutputTokens = 20,
        Choices = 2,
        Lane = Lane.Batch,
        Promise = Promise.Id,
        Owner = new Owner("acme", "search", "key-1"),
        Conversation = "talk",
        Seed = ulong.MaxValue,
        AcceptedAt = At,
        Deadline = At.AddMinutes(10),
        Holder = "gateway-0",
    };

    private static readonly ChoiceChunk Chunk = new(1, 3, [5, 6], "é")
    {
        HeldBack = new byte[] { 0xF0 },
        LogProbs = [new TokenLogProb(5, "a"u8.ToArray(), -0.5f, [new TokenLogProb(9, "b"u8.ToArray(), -1.5f, [])])],
        Finish = FinishReason.Length,
    };

    private static readonly WorkerDescription Worker = new()
    {
        Worker = "tiny-cpu-0", Pool = new PoolName("tiny-cpu"), Model = new ModelName("tiny"), Engine = "in-process", KvCapacityTokens = 4096, Slots = 8, Loading = true, Since = At,
        Running = [new AttemptClaim(Request.Id, 2, 7)], HighestEpoch = 99,
    };

    private static readonly Fence Fence = new("run", 2);

    /// <summary>Each by name: what is to come out, how it is read, and how the present release writes it.</summary>
    public static IReadOnlyDictionary<string, Sample> Samples { get; } = new Dictionary<string, Sample>(StringComparer.Ordinal)
    {
        ["event accepted"] = Event(new RequestEvent.Accepted(At)),
        ["event started"] = Event(new RequestEvent.Started(2, "tiny-cpu-0", At)),
        ["event chunk"] = Event(new RequestEvent.Chunk([Chunk])),
        ["event finished"] = Event(new RequestEvent.Finished(new TokenUsage(10, 20, 4))),
        ["event failed"] = Event(new RequestEvent.Failed(new ServingFault(ServingError.EngineFailed, "It failed.", "prompt", "code", TimeSpan.FromSeconds(2)))),
        ["event cancelled"] = Event(new RequestEvent.Cancelled("gone")),
        ["head"] = new(
            new LogHead(new ModelName("tiny"), Promise.Id, "gateway-0", At) { Owner = Request.Owner, Resumable = true, Shape = new byte[] { 1, 2 } },
            bytes => HeadCodec.Decode(bytes, Promise.Id, "gateway-0")!,
            value => HeadCodec.Encode((LogHead)value)),
        ["request"] = new(
            Request,
            bytes => RequestCodec.FromRecord(Hosting.Records.Wire.RequestRecord.Parser.ParseFrom(bytes), Request.Body),
            value => RequestCodec.ToRecord((InferenceRequest)value).ToByteArray()),
        ["envelope"] = new(Request, Unwrap, _ => RequestCodec.ToRecord(Request).ToByteArray()),
        ["worker hello"] = new(
            Worker,
            bytes => SessionCodec.FromRecord(Hosting.Sessions.Wire.FromWorker.Parser.ParseFrom(bytes).Hello),
            value => new Hosting.Sessions.Wire.FromWorker { Hello = SessionCodec.ToRecord((WorkerDescription)value) }.ToByteArray()),
        ["worker report"] = FromWorker(new WorkerMessage.Report(new WorkerLoad(2, 100, 1000, 50) { LoadingProgress = 0.5 })),
        ["worker attempt ended"] = FromWorker(new WorkerMessage.AttemptEnded(Request.Id, AttemptOutcome.Returned, 12) { Attempt = 2 }),
        ["worker draining"] = FromWorker(new WorkerMessage.Draining()),
        ["worker store changed"] = FromWorker(new WorkerMessage.StoreChanged(Request.Id, 2)),
        ["dispatcher assign"] = FromDispatcher(new DispatcherMessage.Assign(new Assignment(Request, Fence, 7, [Chunk]))),
        ["dispatcher cancel"] = FromDispatcher(new DispatcherMessage.Cancel(Request.Id)),
        ["dispatcher preempt"] = FromDispatcher(new DispatcherMessage.Preempt(Request.Id)),
        ["dispatcher refence"] = FromDispatcher(new DispatcherMessage.Refence(Request.Id, Fence, 7)),
        ["dispatcher drain"] = FromDispatcher(new DispatcherMessage.Drain()),
        ["document"] = new(
            new StoredDocument { Tag = "0123456789abcdef", Place = new IndexPlace(3, 1_790_000_000_123, 1_790_003_600_123), ExpiresAt = 1_790_000_060_123, Json = "{\"a\":1}"u8.ToArray() },
            bytes => StoredDocument.Decode("key", bytes),
            value => ((StoredDocument)value).Encode()),
        ["index page"] = new(
            new IndexPage { Number = 3, Pages = [1, 2], Entries = [new IndexEntry("a", 5, null), new IndexEntry("b", 6, 7)] },
            bytes => IndexPage.Decode(bytes),
            value => ((IndexPage)value).Encode()),
    };

    private static Sample Event(RequestEvent value) => new(value, bytes => EventCodec.Decode(bytes), written => EventCodec.Encode((RequestEvent)written));

    private static Sample FromWorker(WorkerMessage value) => new(
        value,
        bytes => SessionCodec.FromRecord(Hosting.Sessions.Wire.FromWorker.Parser.ParseFrom(bytes))!,
        written => SessionCodec.ToRecord((WorkerMessage)written).ToByteArray());

    private static Sample FromDispatcher(DispatcherMessage value) => new(
        value,
        bytes => SessionCodec.FromRecord(Hosting.Sessions.Wire.FromDispatcher.Parser.ParseFrom(bytes))!,
        written => SessionCodec.ToRecord((DispatcherMessage)written).ToByteArray());

    /// <summary>A message with the headers that version 1 gave it, as a broker hands them over.</summary>
    private static InferenceRequest Unwrap(byte[] record)
    {
        var properties = new BasicProperties
        {
            MessageId = Request.Id.Value,
            Headers = new Dictionary<string, object?>(StringComparer.Ordinal)
            {
                ["serverless-version"] = 1, ["serverless-model"] = Encoding.UTF8.GetBytes("tiny"), ["serverless-record"] = record,
            },
        };
        var (request, fault, _) = Envelope.Unwrap(properties, Request.Body, 1024);
        return request ?? throw new InvalidDataException(fault!.Message);
    }

    /// <param name="Value">What is to come out.</param>
    /// <param name="Read">Reads the bytes as the present release does.</param>
    /// <param name="Write">Writes it as the present release does.</param>
    internal sealed record Sample(object Value, Func<byte[], object> Read, Func<object, byte[]> Write);
}
