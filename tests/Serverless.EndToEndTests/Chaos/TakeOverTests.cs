using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Serverless.Hosting.Records;
using Serverless.Requests;
using Shouldly;
using StackExchange.Redis;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>A model that changes its dispatcher ten times while its requests run: nothing is lost with that, and nothing condemned.</summary>
public sealed class TakeOverTests(ITestOutputHelper output)
{
    private const int Requests = 9;
    private const int TakeOvers = 10;
    private const int Tokens = 48;

    private static readonly string Lease = $"serverless:lease:dispatcher/{ChaosFleet.Model}";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Ten_take_overs_in_a_row_lose_nothing_and_condemn_nothing()
    {
        Assert.SkipWhen(ChaosFleet.Absent is not null, ChaosFleet.Absent ?? "");
        var results = new ChaosResults(new ChaosLedger());
        await using var fleet = await ChaosFleet.StartNewAsync(new ChaosEngine(TokensPerSecond: 3, Tokens), results, Token);
        await using var redis = await ConnectionMultiplexer.ConnectAsync(fleet.Log.Configuration);
        using var http = new HttpClient();
        var ids = new List<string>();
        for (var number = 0; number < Requests; number++) ids.Add(await AskAsync(http, fleet.Addresses[number % ChaosFleet.Gateways]));

        for (var takeOver = 0; takeOver < TakeOvers; takeOver++)
        {
            var (holder, epoch) = await HolderAsync(redis, fleet, after: 0);
            var gateway = fleet.Part($"gateway-{holder.ToString(CultureInfo.InvariantCulture)}");
            if (takeOver % 5 == 4) await gateway.KillAsync();
            else await gateway.LeaveAsync();
            (await HolderAsync(redis, fleet, after: epoch)).Holder.ShouldNotBe(holder);
            await gateway.StartAsync(Token);
        }

        foreach (var id in ids)
        {
            var read = await EndAsync(http, fleet, id);
            ChaosResults.Judge(read, Tokens).Served.ShouldBeTrue($"{read}{fleet.Output}");
            var started = (await redis.GetDatabase().StreamRangeAsync($"serverless:events:{id}")).Select(entry => EventCodec.Decode((byte[])entry.Values[0].Value!)).OfType<RequestEvent.Started>().Count();
            output.WriteLine($"{id} was begun {started.ToString(CultureInfo.InvariantCulture)} times");
        }

        var letters = await http.GetFromJsonAsync<JsonNode>(new Uri(fleet.Addresses[0], "/admin/dead-letters"), Token);
        letters!["data"]!.AsArray().ShouldBeEmpty();
    }

    private static async Task<string> AskAsync(HttpClient http, Uri gateway)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(gateway, "/v1/chat/completions"))
        {
            Content = JsonContent.Create(new { model = ChaosFleet.Model, messages = new[] { new { role = "user", content = "Count." } }, temperature = 0, max_tokens = Tokens }),
            Headers = { { "Prefer", "respond-async" } },
        };
        using var answer = await http.SendAsync(request, Token);
        return (await answer.Content.ReadFromJsonAsync<JsonNode>(Token))!["id"]!.GetValue<string>();
    }

    /// <summary>Who has the lease under a later epoch than that.</summary>
    private static async Task<(int Holder, long Epoch)> HolderAsync(ConnectionMultiplexer redis, ChaosFleet fleet, long after)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        while (await pace.WaitForNextTickAsync(limit.Token))
        {
            var lease = await redis.GetDatabase().HashGetAsync(Lease, ["holder", "epoch"]);
            if (lease[0].IsNull || (long)lease[1] <= after) continue;

            var holder = fleet.Sessions.FindIndex(address => ((string)lease[0]!).Contains(address.Authority, StringComparison.Ordinal));
            if (holder >= 0) return (holder, (long)lease[1]);
        }

        throw new InvalidOperationException("Nobody took the lease.");
    }

    private static async Task<JsonNode> EndAsync(HttpClient http, ChaosFleet fleet, string id)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default * 2, TimeProvider.System);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(500), TimeProvider.System);
        JsonNode? read = null;
        while (read?["status"]?.GetValue<string>() is null or "queued" or "in_progress" && await pace.WaitForNextTickAsync(limit.Token))
            read = await http.GetFromJsonAsync<JsonNode>(new Uri(fleet.Addresses[1], $"/v1/requests/{id}"), limit.Token);
        return read!;
    }
}
