using System.Net;
using System.Text;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using RabbitMQ.Client;
using Serverless.Catalog;
using Serverless.Hosting.Sessions;
using Serverless.Requests;
using Shouldly;
using RequestRecord = Serverless.Hosting.Records.Wire.RequestRecord;
using Wire = Serverless.Hosting.Sessions.Wire;

namespace Serverless.EndToEndTests.Distributed;

/// <summary>
/// Releases beside each other, on real parts: a gateway and a worker that speak as the first release did, with nothing but what it had to say, and as a later one may, with fields and
/// kinds that this one does not know, each against the present gateway and worker.
/// </summary>
public sealed class OtherReleasesTests(SimulatedRun run) : IClassFixture<SimulatedRun>, IAsyncDisposable
{
    // Field 1000 with a length and "later".
    private static readonly byte[] LaterField = [0xC2, 0x3E, 5, .. "later"u8];

    private IHost? _redis;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_gateway_of_another_release_has_its_requests_served(bool later)
    {
        await run.StartAsync();

        // The queue is there, as a gateway of before declares it itself, and its model is consumed: its worker has been given work.
        (await run.PostAsync("/v1/completions", """{"model":"sim","prompt":"Hello","max_tokens":1}""").WithinLimitAsync()).Status.ShouldBe(HttpStatusCode.OK, run.Output);
        var log = await LogAsync();
        var now = TimeProvider.System.GetUtcNow();
        var record = new RequestRecord
        {
            Id = RequestId.New("chatcmpl-").Value, Model = "sim", PromptTokens = 3, MaxOutputTokens = 4, Choices = 1,
            AcceptedAtUnixMs = now.ToUnixTimeMilliseconds(), DeadlineUnixMs = now.AddMinutes(1).ToUnixTimeMilliseconds(),
        };
        var id = new RequestId(record.Id);
        await log.OpenAsync(id, new LogHead(new ModelName("sim"), Promise.Connection, "", now.AddMinutes(1)), Token);

        await PublishAsync(record, later);
        var events = await log.FollowAsync(id, 0, Token).ToListAsync(Token).AsTask().WithinLimitAsync();

        events[^1].Event.ShouldBeOfType<RequestEvent.Finished>().Usage.CompletionTokens.ShouldBe(4);
        events.Select(logged => logged.Event).OfType<RequestEvent.Chunk>().Sum(chunk => chunk.Choices.Sum(choice => choice.TokenIds.Count)).ShouldBe(4);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_worker_of_another_release_serves(bool later)
    {
        await run.StartAsync();
        var log = await LogAsync();
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{run.Apps.File.Port("8081")}");
        using var session = new Wire.Sessions.SessionsClient(channel).Connect(cancellationToken: Token);
        await SayAsync(session, new Wire.FromWorker { Hello = Hello(later) }, later);
        (await HearAsync(session)).Welcome.Epoch.ShouldBeGreaterThan(0);
        await SayAsync(session, new Wire.FromWorker { Report = new Wire.Report() }, later);
        if (later) await session.RequestStream.WriteAsync(Wire.FromWorker.Parser.ParseFrom(LaterField), Token);

        var asking = run.PostAsync("/v1/chat/completions", """{"model":"other","messages":[{"role":"user","content":"Hello"}],"max_tokens":4}""");
        var assign = (await HearAsync(session)).Assign;
        var (id, fence) = (new RequestId(assign.Request.Id), new Fence(assign.Fence.StoreRun, assign.Fence.Attempt));
        RequestEvent[] events =
        [
            new RequestEvent.Started(fence.Attempt, "other-0", TimeProvider.System.GetUtcNow()),
            new RequestEvent.Chunk([new ChoiceChunk(0, 0, [1], "spoken") { Finish = FinishReason.Stop }]),
            new RequestEvent.Finished(new TokenUsage(3, 1)),
        ];
        (await log.AppendAsync(id, fence, assign.LastSequence + 1, events, Token)).ShouldBe(AppendStatus.Accepted);
        await SayAsync(session, new Wire.FromWorker { AttemptEnded = new Wire.AttemptEnded { Id = id.Value, OutputTokens = 1 } }, later);
        var answer = await asking.WithinLimitAsync();

        answer.Status.ShouldBe(HttpStatusCode.OK, $"{answer.Body}{run.Output}");
        answer.Body!["choices"]![0]!["message"]!["content"]!.GetValue<string>().ShouldBe("spoken");
        await SayAsync(session, new Wire.FromWorker { Draining = new Wire.Draining() }, later);
        (await HearAsync(session)).KindCase.ShouldBe(Wire.FromDispatcher.KindOneofCase.Drain);
        await session.RequestStream.CompleteAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_redis is null) return;
        await _redis.StopAsync(CancellationToken.None);
        _redis.Dispose();
    }

    private static Wire.Hello Hello(bool later) => new()
    {
        Version = later ? SessionCodec.Version + 1 : 1, Worker = later ? "other-later" : "other-0", Pool = "other-cpu", Model = "other", Engine = "played", KvCapacityTokens = 4096, Slots = 4,
    };

    private static Task SayAsync(AsyncDuplexStreamingCall<Wire.FromWorker, Wire.FromDispatcher> session, Wire.FromWorker message, bool later) =>
        session.RequestStream.WriteAsync(later ? Wire.FromWorker.Parser.ParseFrom((byte[])[.. message.ToByteArray(), .. LaterField]) : message, Token);

    private static async Task<Wire.FromDispatcher> HearAsync(AsyncDuplexStreamingCall<Wire.FromWorker, Wire.FromDispatcher> session)
    {
        (await session.ResponseStream.MoveNext(Token).WithinLimitAsync()).ShouldBeTrue("the session goes on");
        return session.ResponseStream.Current;
    }

    private async Task PublishAsync(RequestRecord record, bool later)
    {
        await using var connection = await new ConnectionFactory { Uri = run.Broker }.CreateConnectionAsync(Token);
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(true, true), Token);
        var properties = new BasicProperties
        {
            MessageId = record.Id,
            Headers = new Dictionary<string, object?>(StringComparer.Ordinal)
            {
                ["serverless-version"] = 1, ["serverless-model"] = "sim", ["serverless-record"] = later ? [.. record.ToByteArray(), .. LaterField] : record.ToByteArray(),
            },
        };
        if (later) properties.Headers["serverless-later"] = "something";
        await channel.BasicPublishAsync("", "serverless.transient.sim", mandatory: true, properties, Encoding.UTF8.GetBytes("""{"model":"sim","messages":[{"role":"user","content":"Hello"}],"max_tokens":4}"""), Token);
    }

    private async Task<IRequestLog> LogAsync()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["Redis:Configuration"] = run.Store });
        builder.Services.AddRedisRequestLog();
        _redis = builder.Build();
        await _redis.StartAsync(Token);
        return _redis.Services.GetRequiredService<IRequestLog>();
    }
}
