using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Serverless.Errors;
using Serverless.Events;
using Shouldly;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>Conversations over two gateways by the components of <c>components/ordered</c>, while the sidecar that is handed them is killed, a gateway, then the other sidecar.</summary>
public sealed class OrderedEventsTests(ITestOutputHelper output)
{
    private const string Topic = "serverless.requests.ordered";
    private const int Conversations = 8;
    private const int EventsEach = 15;

    /// <summary>A request takes more than a second, so that the seconds of which its end tells say which was first.</summary>
    private static readonly ChaosEngine Engine = new(TokensPerSecond: 7, OutputTokens: 8);

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(6);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Events_of_a_conversation_run_in_their_order_over_two_gateways_though_each_sidecar_and_a_gateway_are_killed()
    {
        Assert.SkipWhen(ChaosFleet.Absent is not null, ChaosFleet.Absent ?? "");
        var results = new Ends();
        await using var fleet = await ChaosFleet.StartNewAsync(Engine, results, Token, new Dictionary<string, string> { ["Gateway__Events__Topics__0"] = Topic }, "components/ordered");
        using var patience = new CancellationTokenSource(Limit, TimeProvider.System);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token, patience.Token);

        var sending = Parallel.ForAsync(0, Conversations, limit.Token, async (conversation, token) =>
        {
            for (var number = 0; number < EventsEach; number++) await PublishAsync(fleet, Event(conversation, number), token);
        });
        await HarmAsync(fleet, "daprd-0", results, Conversations * EventsEach / 4, limit.Token);
        await HarmAsync(fleet, "gateway-0", results, Conversations * EventsEach / 2, limit.Token);
        await HarmAsync(fleet, "daprd-1", results, Conversations * EventsEach * 3 / 4, limit.Token);
        await sending;
        while (results.Of.Count < Conversations * EventsEach && !limit.IsCancellationRequested) await RealTime.PassAsync(Pause, limit.Token);

        results.Of.Values.Where(end => end.Status != "completed").ShouldBeEmpty(fleet.Output);
        for (var conversation = 0; conversation < Conversations; conversation++)
        {
            var ended = Enumerable.Range(0, EventsEach).Select(number => results.Of[Name(conversation, number)].EndedAt).ToArray();
            ended.ShouldBe([.. ended.Distinct().Order()], $"conversation {conversation}, taken at {string.Join(' ', Enumerable.Range(0, EventsEach).Select(number => results.Of[Name(conversation, number)].CreatedAt))}\n{fleet.Output}");
        }
    }

    private static string Name(int conversation, int number) => string.Create(CultureInfo.InvariantCulture, $"{conversation}-{number}");

    private static CloudEvent Event(int conversation, int number) => new()
    {
        Id = Name(conversation, number), Source = "/ordered", Type = "test.asked",
        Data = Encoding.UTF8.GetBytes($$$"""{"endpoint":"/v1/completions","conversation":"tale-{{{conversation}}}","body":{"model":"{{{ChaosFleet.Model}}}","max_tokens":8,"prompt":"{{{number}}}"}}"""),
    };

    /// <summary>Until it is taken: in its order, once.</summary>
    private static async Task PublishAsync(ChaosFleet fleet, CloudEvent asked, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await fleet.Neighbour.Bus.PublishAsync(Topic, asked, cancellationToken);
                return;
            }
            catch (ServingException)
            {
                await RealTime.PassAsync(Pause, cancellationToken);
            }
        }
    }

    private async Task HarmAsync(ChaosFleet fleet, string part, Ends results, int done, CancellationToken cancellationToken)
    {
        while (results.Of.Count < done) await RealTime.PassAsync(Pause, cancellationToken);
        output.WriteLine($"{results.Of.Count} have ended; {part} is killed");
        await fleet.Part(part).DieAsync(TimeSpan.FromSeconds(3), cancellationToken);
    }

    /// <summary>The ends that were told, by the events' ids. Thread-safe.</summary>
    private sealed class Ends : IEventHandler
    {
        public IReadOnlyList<string> Topics { get; } = [EventTopics.Results];

        public ConcurrentDictionary<string, (string Status, long CreatedAt, long EndedAt)> Of { get; } = new(StringComparer.Ordinal);

        public ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
        {
            var result = JsonNode.Parse(cloudEvent.Data.Span)!;
            if (result["event"]?["id"]?.GetValue<string>() is { } id) Of[id] = (result["status"]!.GetValue<string>(), result["created_at"]!.GetValue<long>(), result["ended_at"]!.GetValue<long>());
            return new(BrokerVerdict.Done);
        }
    }
}
