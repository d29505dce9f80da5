using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Ten times more than an engine can do: 50 requests a second, 500 offered, for 20 seconds of the gateway's clock.</summary>
public sealed class OverloadTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Body = """{"model":"tiny","max_tokens":20,"messages":[{"role":"user","content":"Hello"}]}""";
    private const int Seconds = 20;
    private const int StepsPerSecond = 50;
    private const int OfferedPerStep = 10;

    private static readonly TimeSpan Step = TimeSpan.FromSeconds(1) / StepsPerSecond;

    private static readonly RequestEvent Overdue = new RequestEvent.Failed(new ServingFault(ServingError.DeadlineExceeded, "Too late."));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Goodput_stays_at_the_engines_peak_memory_is_bounded_and_refusals_are_honest()
    {
        var time = new TestClock(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
        var backend = new Backend(time);
        await using var gateway = await GatewayUnderTest.StartAsync(backend: backend);
        var feed = gateway.Services.GetRequiredService<IDemandFeed>();
        gateway.Services.GetRequiredService<ICapacityFeed>().Publish(new PoolCapacity { Pool = GatewayUnderTest.Model.Pools[0].Name, Desired = 1, Ready = 1 });
        var (waiting, refusals, mostLogs) = (new List<(Task<HttpResponseMessage> Response, HeldRequest Request)>(), new List<(HttpStatusCode Status, TimeSpan? RetryAfter, double Expected)>(), 0);
        var (served, late) = (0, 0);

        for (var step = 0; step < Seconds * StepsPerSecond; step++)
        {
            for (var i = 0; i < OfferedPerStep; i++)
            {
                var tokens = waiting.Sum(held => held.Request.Request.MaxTotalTokens);
                var rate = StepsPerSecond * 25.0;
                feed.Publish(new ModelDemand { Model = GatewayUnderTest.Model.Name, At = time.GetUtcNow(), PendingRequests = waiting.Count, PendingPromptTokens = tokens, ServedTokensPerSecond = step < StepsPerSecond ? 0 : rate });

                // Its fate is known before the next one comes: it is in the queue, or answered.
                var response = gateway.PostAsync(Chat, Body, ("X-Request-Timeout", "4"));
                var queued = backend.Queue.Requests.WaitToReadAsync(Token).AsTask();
                if (await Task.WhenAny(queued, response).WithinLimitAsync() == response) refusals.Add(await ReadRefusalAsync(response, tokens / rate));
                else waiting.Add((response, await backend.TakeAsync()));
            }

            mostLogs = Math.Max(mostLogs, backend.Log.Count);
            while (waiting.Count > 0 && waiting[0].Request.Request.Deadline <= time.GetUtcNow())
            {
                // As a dispatcher does: what is overdue takes no engine's time.
                late++;
                await backend.Log.EndAsync(waiting[0].Request.Request.Id, Overdue, Token);
                using (var overdue = await waiting[0].Response.WithinLimitAsync()) overdue.StatusCode.ShouldBe(HttpStatusCode.GatewayTimeout);
                waiting.RemoveAt(0);
            }

            if (waiting.Count > 0)
            {
                var (response, held) = waiting[0];
                waiting.RemoveAt(0);
                await held.BeginAsync();
                await held.SayAsync("Good day", finish: FinishReason.Stop);
                await held.FinishAsync();
                using var answer = await response.WithinLimitAsync();
                if (answer.StatusCode == HttpStatusCode.OK) served++;
            }

            time.Advance(Step);
        }

        served.ShouldBeGreaterThanOrEqualTo((int)(0.95 * Seconds * StepsPerSecond));
        late.ShouldBeLessThan(StepsPerSecond * OfferedPerStep); // what came before any rate was known
        mostLogs.ShouldBeLessThan(1000);
        refusals.Count.ShouldBeGreaterThan(Seconds * StepsPerSecond * (OfferedPerStep - 2) / 2);
        foreach (var (status, retryAfter, expected) in refusals)
        {
            status.ShouldBe(HttpStatusCode.ServiceUnavailable);
            retryAfter!.Value.TotalSeconds.ShouldBeInRange(1, 60);
            retryAfter.Value.TotalSeconds.ShouldBeLessThanOrEqualTo(Math.Max(1, Math.Ceiling(expected)));
        }

        TestContext.Current.TestOutputHelper!.WriteLine($"Served {served} of {Seconds * StepsPerSecond} that the engine could do, let {late} expire, refused {refusals.Count}, held at most {mostLogs} logs.");
    }

    /// <summary>What a refusal says. Its connection goes back: thousands that are kept open are a machine's worth of sockets and memory.</summary>
    private static async Task<(HttpStatusCode Status, TimeSpan? RetryAfter, double Expected)> ReadRefusalAsync(Task<HttpResponseMessage> response, double expected)
    {
        using var answer = await response;
        return (answer.StatusCode, answer.Headers.RetryAfter?.Delta, expected);
    }
}
