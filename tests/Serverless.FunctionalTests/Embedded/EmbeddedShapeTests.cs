using System.Diagnostics.Metrics;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Shouldly;

namespace Serverless.FunctionalTests.Embedded;

public sealed class EmbeddedShapeTests(ITestOutputHelper output)
{
    private const string Simulated = """
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: slow-start}
        spec:
          familyName: simulated
          source: {uri: "simulated://slow-start"}
          inferenceConfig:
            flavors:
              - name: cpu
                params: {loadSeconds: 7}
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata: {name: slow-start}
        spec:
          modelClaim: {modelName: slow-start}
          elasticConfig: {minReplicas: 0, maxReplicas: 1}
        """;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_shipped_model_answers_from_zero_and_its_pool_goes_back_to_zero()
    {
        await using var platform = await EmbeddedUnderTest.StartAsync(TimeProvider.System, cooldown: TimeSpan.FromMilliseconds(1));
        using var load = Collect(platform, "serverless.model_load.duration");
        using var firstToken = Collect(platform, "serverless.cold_start.time_to_first_token");
        (await PoolsAsync(platform)).GetProperty("state").GetString().ShouldBe("zero");

        var answer = await AskAsync(platform, "smollm2-135m-instruct");

        answer.ShouldContain("cold");
        await platform.PoolAsync(pool => pool is { Desired: 0, Ready: 0, Draining: 0 });
        var pool = await PoolsAsync(platform);
        (pool.GetProperty("desired").GetInt32(), pool.GetProperty("ready").GetInt32()).ShouldBe((0, 0));
        var (loaded, first) = (load.GetMeasurementSnapshot()[0].Value, firstToken.GetMeasurementSnapshot()[0].Value);
        first.ShouldBeGreaterThan(loaded);
        output.WriteLine($"cold start: model load {loaded:F3} s, first token {first:F3} s after it was asked for, {first - loaded:F3} s beyond the load");
    }

    [Fact]
    public async Task An_event_that_is_posted_is_a_request()
    {
        await using var platform = await EmbeddedUnderTest.StartAsync(TimeProvider.System, Simulated.Replace("7", "0", StringComparison.Ordinal));
        using var content = new StringContent(
            """{"specversion":"1.0","id":"order-1","source":"/shop","type":"shop.asked","data":{"endpoint":"/v1/completions","body":{"model":"slow-start","prompt":"x","max_tokens":2},"metadata":{"order":1}}}""",
            System.Text.Encoding.UTF8, "application/cloudevents+json");
        await using var results = platform.Host.Services.GetRequiredService<Serverless.Events.MemoryEventBus>().SubscribeAsync(Serverless.Events.EventTopics.Results, Token).Enumerate(Token);

        using var answer = await platform.Client.PostAsync(new Uri("/events/serverless.requests", UriKind.Relative), content, Token);

        (await answer.Content.ReadAsStringAsync(Token)).ShouldBe("""{"status":"SUCCESS"}""");
        (await results.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        results.Current.Type.ShouldBe("dev.serverless.request.completed");
        (await platform.Client.GetStringAsync(new Uri("/v1/requests", UriKind.Relative), Token)).ShouldContain("\"order\":1");
    }

    [Fact]
    public async Task A_cold_start_costs_the_load_of_the_model_and_no_wait_of_ours()
    {
        var time = new TimerWatch(TimeSpan.FromSeconds(7));
        await using var platform = await EmbeddedUnderTest.StartAsync(time, Simulated);
        using var load = Collect(platform, "serverless.model_load.duration");
        using var firstToken = Collect(platform, "serverless.cold_start.time_to_first_token");

        // The clock moves only while the model loads (by less than leases last, for nobody renews them meanwhile): an answer that needed a tick of ours would not come.
        var asking = AskAsync(platform, "slow-start");
        await time.Created.WithinLimitAsync();
        time.Advance(TimeSpan.FromSeconds(7));

        (await asking.WithinLimitAsync()).ShouldStartWith(" one two three");
        load.GetMeasurementSnapshot().Single().Value.ShouldBe(7, 0.001);
        firstToken.GetMeasurementSnapshot().Single().Value.ShouldBe(7, 0.001);
    }

    [Fact]
    public async Task Of_200_streams_the_dropped_half_stops_the_rest_is_answered_and_all_room_comes_back()
    {
        await using var platform = await EmbeddedUnderTest.StartAsync(TimeProvider.System);

        // A dropped one would run for 2,000 tokens: a hundred of them would take the better part of an hour.
        await Task.WhenAll(Enumerable.Range(0, 200).Select(number => number % 2 == 0 ? StreamAsync(platform, 4) : DropAsync(platform))).WithinLimitAsync();

        var idle = await platform.DemandAsync(demand => !demand.HasWork && demand.Replicas.All(replica => replica is { KvUsedTokens: 0, Running: 0 }));
        idle.Replicas.ShouldNotBeEmpty();
        (await AskAsync(platform, "smollm2-135m-instruct")).ShouldContain("cold");
    }

    private static async Task<string> AskAsync(EmbeddedUnderTest platform, string model)
    {
        var body = new { model, temperature = 0, max_tokens = 16, messages = new[] { new { role = "user", content = "What is the opposite of hot?" } } };
        using var response = await platform.Client.PostAsJsonAsync("/v1/chat/completions", body, Token);
        var text = await response.Content.ReadAsStringAsync(Token);
        response.IsSuccessStatusCode.ShouldBeTrue(text);
        using var answer = JsonDocument.Parse(text);
        return answer.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }

    private static async Task StreamAsync(EmbeddedUnderTest platform, int tokens)
    {
        using var response = await OpenAsync(platform, tokens, Token);
        var text = await response.Content.ReadAsStringAsync(Token);
        text.ShouldEndWith("data: [DONE]\n\n");
    }

    /// <summary>Reads the head of the stream, which comes at the latest with its first notice, and goes away.</summary>
    private static async Task DropAsync(EmbeddedUnderTest platform)
    {
        using var response = await OpenAsync(platform, 2000, Token);
        await using var stream = await response.Content.ReadAsStreamAsync(Token);
        (await stream.ReadAsync(new byte[1], Token)).ShouldBe(1);
    }

    private static async Task<HttpResponseMessage> OpenAsync(EmbeddedUnderTest platform, int tokens, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions");
        request.Content = JsonContent.Create(new { model = "smollm2-135m-instruct", prompt = "Once upon", max_tokens = tokens, stream = true, ignore_eos = true });
        var response = await platform.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        response.IsSuccessStatusCode.ShouldBeTrue();
        return response;
    }

    private static async Task<JsonElement> PoolsAsync(EmbeddedUnderTest platform)
    {
        using var pools = JsonDocument.Parse(await platform.Client.GetStringAsync(new Uri("/admin/pools", UriKind.Relative), Token));
        return pools.RootElement.GetProperty("pools")[0].Clone();
    }

    /// <summary>A clock that tells when a timer of that length was made.</summary>
    private sealed class TimerWatch(TimeSpan length) : TimeProvider
    {
        private readonly TestClock _clock = new(System.GetUtcNow());
        private readonly TaskCompletionSource _created = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Created => _created.Task;

        public override long TimestampFrequency => _clock.TimestampFrequency;

        public override DateTimeOffset GetUtcNow() => _clock.GetUtcNow();

        public override long GetTimestamp() => _clock.GetTimestamp();

        public void Advance(TimeSpan delta) => _clock.Advance(delta);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = _clock.CreateTimer(callback, state, dueTime, period);
            if (dueTime == length) _created.TrySetResult();
            return timer;
        }
    }

    private static MetricCollector<double> Collect(EmbeddedUnderTest platform, string instrument) =>
        new(platform.Host.Services.GetRequiredService<IMeterFactory>(), "Serverless.Worker", instrument, TimeProvider.System);
}
