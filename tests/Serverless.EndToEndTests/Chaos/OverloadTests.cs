using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using Shouldly;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>
/// Ten times as much is asked as can be served: what is served stays as much as before, what is refused is told when to come again, and nothing piles up.
/// <c>OVERLOAD_SECONDS=60 OVERLOAD_RATE=50</c> for the long form; in CI the engine is slower in the same ratio, so that it is the engine that is short and not the machine.
/// </summary>
public sealed class OverloadTests(ITestOutputHelper output)
{
    private const int Tokens = 16;
    private const int Workers = 3;
    private const long MegaByte = 1024 * 1024;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    private static readonly byte[] Body = Encoding.UTF8.GetBytes(
        $$"""{"model":"{{ChaosFleet.Model}}","messages":[{"role":"user","content":"Count."}],"temperature":0,"max_tokens":{{Tokens}}}""");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static int ServedPerSecond => Number("OVERLOAD_RATE") ?? 20;

    private static TimeSpan Span => TimeSpan.FromSeconds(Number("OVERLOAD_SECONDS") ?? 8);

    [Fact]
    public async Task Ten_times_what_can_be_served_is_refused_honestly_and_costs_neither_goodput_nor_memory()
    {
        Assert.SkipWhen(ChaosFleet.Absent is not null, ChaosFleet.Absent ?? "");
        var engine = new ChaosEngine(ServedPerSecond * Tokens / Workers, Tokens, Slots: Math.Max(1, ServedPerSecond / Workers));
        await using var fleet = await ChaosFleet.StartNewAsync(engine, new ChaosResults(new ChaosLedger()), Token);
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 8192 }) { Timeout = TestTimeouts.Default };
        await OfferAsync(http, fleet, ServedPerSecond, TimeSpan.FromSeconds(2)); // compiled and warm before anything counts
        var peak = await OfferAsync(http, fleet, ServedPerSecond * 2, Span / 2);
        var over = await OfferAsync(http, fleet, ServedPerSecond * 10, Span);

        var told = $"{peak}\n{over}\n";
        output.WriteLine(told);
        over.Faults.ShouldBeEmpty(told);
        over.PerSecond.ShouldBeGreaterThan(peak.PerSecond * 0.95, told);
        over.LargestGateway.ShouldBeLessThan(peak.LargestGateway + (100 * MegaByte), told);
    }

    /// <summary>Asks so often for so long, whatever becomes of it.</summary>
    private static async Task<Offer> OfferAsync(HttpClient http, ChaosFleet fleet, int perSecond, TimeSpan span)
    {
        var offer = new Offer(perSecond);
        var asking = new List<Task>();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        for (var asked = 0; offer.Elapsed < span; await pace.WaitForNextTickAsync(Token))
        {
            for (; asked < offer.Elapsed.TotalSeconds * perSecond; asked++) asking.Add(AskAsync(http, fleet.Addresses[asked % ChaosFleet.Gateways], offer));
            offer.Weigh(fleet.Part("gateway-0").Memory, fleet.Part("gateway-1").Memory);
        }

        await Task.WhenAll(asking);
        return offer;
    }

    private static async Task AskAsync(HttpClient http, Uri gateway, Offer offer)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(gateway, "/v1/chat/completions"))
        {
            Content = new ByteArrayContent(Body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
            Headers = { { "X-Request-Timeout", Patience.TotalSeconds.ToString(CultureInfo.InvariantCulture) } },
        };
        using var answer = await http.SendAsync(request, Token);
        offer.Note((int)answer.StatusCode, ChaosTry.Code(await answer.Content.ReadAsStringAsync(Token)), answer.Headers.RetryAfter?.Delta);
    }

    private static int? Number(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.Integer, CultureInfo.InvariantCulture, out var value) ? value : null;

    /// <summary>What became of a load. Thread-safe.</summary>
    private sealed class Offer(int offered)
    {
        private readonly long _began = TimeProvider.System.GetTimestamp();
        private readonly ConcurrentDictionary<string, int> _answers = new(StringComparer.Ordinal);
        private long _lastServed;

        public ConcurrentBag<string> Faults { get; } = [];

        public long LargestGateway { get; private set; }

        public TimeSpan Elapsed => TimeProvider.System.GetElapsedTime(_began);

        /// <summary>From the first one asked to the last one served.</summary>
        public double PerSecond => _answers.GetValueOrDefault("200 ") / TimeProvider.System.GetElapsedTime(_began, _lastServed).TotalSeconds;

        public void Weigh(params ReadOnlySpan<long> gateways)
        {
            foreach (var bytes in gateways) LargestGateway = Math.Max(LargestGateway, bytes);
        }

        /// <summary>A refusal says when to come again; there is no other failure.</summary>
        public void Note(int status, string code, TimeSpan? retryAfter)
        {
            _answers.AddOrUpdate($"{status} {code}", 1, (_, count) => count + 1);
            if (status == 200) Interlocked.Exchange(ref _lastServed, TimeProvider.System.GetTimestamp());
            var isHonest = status == 200 || (status is 429 or 503 or 504 && retryAfter >= TimeSpan.FromSeconds(1) && retryAfter <= TimeSpan.FromSeconds(60));
            if (!isHonest) Faults.Add($"{status} {code}, Retry-After {retryAfter}");
        }

        public override string ToString() => string.Create(
            CultureInfo.InvariantCulture,
            $"at {offered}/s: {PerSecond:F1} served a second; {string.Join(", ", _answers.Select(answer => $"{answer.Key}: {answer.Value}"))}; a gateway took {LargestGateway / MegaByte} MB at most");
    }
}
