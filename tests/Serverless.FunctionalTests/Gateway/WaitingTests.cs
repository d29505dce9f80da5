using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>What a client is told of the queue, before and while it waits.</summary>
public sealed class WaitingTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Whole = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";

    [Fact]
    public async Task Headers_tell_what_is_ahead_and_how_long_it_takes()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        Publish(gateway, pendingTokens: 5000, tokensPerSecond: 100);
        var response = gateway.PostAsync(Chat, Whole);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.FinishAsync();

        (await response).Headers.GetValues("X-Queue-Tokens-Ahead").Single().ShouldBe("5000");
        (await response).Headers.GetValues("X-Queue-Estimated-Wait-Ms").Single().ShouldBe("50000");
    }

    [Fact]
    public async Task What_cannot_meet_its_deadline_is_refused_at_once_with_the_time_when_it_could()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        Publish(gateway, pendingTokens: 5000, tokensPerSecond: 100);

        var refused = await gateway.PostAsync(Chat, Whole, ("X-Request-Timeout", "10"));

        refused.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        (await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).ShouldContain("deadline_unreachable");
        refused.Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(40)); // 50 s of work, less the 10 s it may take
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
        gateway.Backend.Log.Count.ShouldBe(0);

        using var waits = await gateway.PostAsync(Chat, Whole.Replace("}]}", """}],"stream":true}""", StringComparison.Ordinal), ("X-Request-Timeout", "60"));
        waits.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_model_at_zero_is_asked_for_by_whoever_comes_first_however_long_its_last_start_took()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        gateway.Services.GetRequiredService<ICapacityFeed>().Publish(new PoolCapacity { Pool = GatewayUnderTest.Model.Pools[0].Name, LastColdStartSeconds = 600 });

        var response = gateway.PostAsync(Chat, Whole, ("X-Request-Timeout", "10"));
        var held = await gateway.TakeAsync();
        var other = await gateway.PostAsync(Chat, Whole, ("X-Request-Timeout", "10"));
        await held.BeginAsync();
        await held.FinishAsync();

        (await response).StatusCode.ShouldBe(HttpStatusCode.OK);
        other.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable, "the start that the first one asked for takes longer");
        other.Headers.RetryAfter!.Delta!.Value.ShouldBeGreaterThan(TimeSpan.FromSeconds(30));
    }

    [Theory]
    [InlineData(5000, 100, 50)]
    [InlineData(50_000, 100, 60)]
    [InlineData(10, 100, 1)]
    public async Task A_full_queue_says_when_it_has_drained(long pendingTokens, double tokensPerSecond, int seconds)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        Publish(gateway, pendingTokens, tokensPerSecond);
        gateway.Queue.Refusal = new EnqueueResult(new ServingFault(ServingError.QueueFull, "Full."));

        var refused = await gateway.PostAsync(Chat, Whole);

        refused.StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
        refused.Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(seconds));
    }

    private static void Publish(GatewayUnderTest gateway, long pendingTokens, double tokensPerSecond)
    {
        var model = GatewayUnderTest.Model;
        gateway.Services.GetRequiredService<ICapacityFeed>().Publish(new PoolCapacity { Pool = model.Pools[0].Name, Desired = 1, Ready = 1 });
        gateway.Services.GetRequiredService<IDemandFeed>().Publish(new ModelDemand
        {
            Model = model.Name,
            At = TimeProvider.System.GetUtcNow(),
            PendingRequests = 1,
            PendingPromptTokens = pendingTokens,
            ServedTokensPerSecond = tokensPerSecond,
        });
    }
}
