using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Serverless.Errors;
using Serverless.Events;
using Shouldly;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>
/// Requests as events over RabbitMQ, Redis and two gateways with their sidecars: each is sent twice, all in an order of chance, and a sidecar and the broker are killed meanwhile. Each has one result.
/// CI sends 1,000; <c>CHAOS_EVENTS</c> says how many, and <c>make chaos-events</c> sends 10,000.
/// </summary>
public sealed class EventChaosTests(ITestOutputHelper output)
{
    private const int MostTokens = 8;
    private const int Senders = 32;

    private static readonly int Events = int.TryParse(Environment.GetEnvironmentVariable("CHAOS_EVENTS"), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 1000;
    private static readonly int Seed = int.TryParse(Environment.GetEnvironmentVariable("CHAOS_SEED"), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : Random.Shared.Next();

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(6 + (Events / 500));
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>What has no result by then is sent again: a sidecar may say that the broker has what it has not.</summary>
    private static readonly TimeSpan SentAgain = TimeSpan.FromSeconds(20);

    private static readonly TimeSpan Down = TimeSpan.FromSeconds(3);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_event_has_one_result_though_it_comes_twice_in_any_order_and_a_sidecar_and_the_broker_are_killed()
    {
        Assert.SkipWhen(ChaosFleet.Absent is not null, ChaosFleet.Absent ?? "");
        var results = new Results();
        await using var fleet = await ChaosFleet.StartNewAsync(new ChaosEngine(TokensPerSecond: 1000, MostTokens), results, Token);
        using var patience = new CancellationTokenSource(Limit, TimeProvider.System);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token, patience.Token);
        var began = TimeProvider.System.GetTimestamp();
        int[] order = [.. Enumerable.Range(0, Events), .. Enumerable.Range(0, Events)];
        new Random(Seed).Shuffle(order);

        var sending = Parallel.ForEachAsync(order, new ParallelOptions { MaxDegreeOfParallelism = Senders, CancellationToken = limit.Token }, async (number, token) => await SendAsync(fleet, results, number, token));
        await HarmAsync(fleet, "daprd-0", results, Events / 4, limit.Token);
        await HarmAsync(fleet, "rabbitmq", results, Events / 2, limit.Token);
        await sending;

        output.WriteLine($"seed {Seed}: {Events} events, each sent twice and {results.SentAgain} times again, {results.Told} results told, in {TimeProvider.System.GetElapsedTime(began).TotalSeconds:F0} s");
        results.Faults.ShouldBeEmpty($"seed {Seed}\n{fleet.Output}");
        results.Done.ShouldBe(Events);
        results.Requests.ShouldBe(Events, "a request each");
    }

    /// <summary>Until its result is there.</summary>
    private static async Task SendAsync(ChaosFleet fleet, Results results, int number, CancellationToken cancellationToken)
    {
        var asked = new CloudEvent
        {
            Id = Results.IdOf(number), Source = Results.Source, Type = "test.asked",
            Data = Encoding.UTF8.GetBytes($$$"""{"endpoint":"/v1/chat/completions","body":{"model":"{{{ChaosFleet.Model}}}","max_tokens":{{{TokensOf(number)}}},"messages":[{"role":"user","content":"{{{number}}}"}]}}"""),
        };
        var result = results.Of(number);
        for (var isFirst = true; ; isFirst = false)
        {
            try
            {
                if (!isFirst) results.Again();
                await fleet.Neighbour.Bus.PublishAsync(EventTopics.Requests, asked, cancellationToken);
            }
            catch (ServingException)
            {
                await RealTime.PassAsync(Pause, cancellationToken);
                continue;
            }

            await Task.WhenAny(result, RealTime.PassAsync(SentAgain, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
            if (result.IsCompleted) return;
        }
    }

    /// <summary>Kills a part once so many results are there, and starts it again.</summary>
    private async Task HarmAsync(ChaosFleet fleet, string part, Results results, int done, CancellationToken cancellationToken)
    {
        while (results.Done < done) await RealTime.PassAsync(Pause, cancellationToken);
        output.WriteLine($"{results.Done} results are there; {part} is killed");
        await fleet.Part(part).DieAsync(Down, cancellationToken);
    }

    private static int TokensOf(int number) => 1 + (number % MostTokens);

    /// <summary>What events told. One may be told twice: it is the same one then. Thread-safe.</summary>
    private sealed class Results : IEventHandler
    {
        public const string Source = "/chaos";

        private readonly ConcurrentDictionary<string, TaskCompletionSource> _awaited = new(StringComparer.Ordinal);
        private readonly ConcurrentDictionary<string, string> _requests = new(StringComparer.Ordinal);
        private readonly ConcurrentQueue<string> _faults = new();
        private int _told;
        private int _again;

        public IReadOnlyList<string> Topics { get; } = [EventTopics.Results];

        public IReadOnlyCollection<string> Faults => _faults;

        public int Told => Volatile.Read(ref _told);

        public int SentAgain => Volatile.Read(ref _again);

        public int Done => _requests.Count;

        public int Requests => _requests.Values.Distinct(StringComparer.Ordinal).Count();

        public static string IdOf(int number) => string.Create(CultureInfo.InvariantCulture, $"order-{number}");

        public Task Of(int number) => _awaited.GetOrAdd(IdOf(number), _ => New()).Task;

        public void Again() => Interlocked.Increment(ref _again);

        public ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
        {
            var result = JsonNode.Parse(cloudEvent.Data.Span)!;
            if (result["event"]?["id"]?.GetValue<string>() is not { } id) return new(BrokerVerdict.Done);

            Interlocked.Increment(ref _told);
            var request = _requests.GetOrAdd(id, cloudEvent.Id);
            if (request != cloudEvent.Id) _faults.Enqueue($"{id} has two results: {request} and {cloudEvent.Id}");
            if (FaultOf(id, result) is { } fault) _faults.Enqueue($"{id}: {fault}");
            _awaited.GetOrAdd(id, _ => New()).TrySetResult();
            return new(BrokerVerdict.Done);
        }

        private static string? FaultOf(string id, JsonNode result)
        {
            var expected = ChaosEngine.Text(TokensOf(int.Parse(id.AsSpan("order-".Length), CultureInfo.InvariantCulture)));
            if (result["status"]!.GetValue<string>() != "completed") return $"it {result["status"]}: {result["error"]?.ToJsonString()}";
            var text = (string?)result["response"]?["choices"]?[0]?["message"]?["content"];
            return text == expected ? null : $"it was answered '{text}', not '{expected}'";
        }

        private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
