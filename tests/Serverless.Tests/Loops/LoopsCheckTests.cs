using Microsoft.Extensions.Diagnostics.HealthChecks;
using Serverless.Hosting.Probes;
using Serverless.Loops;
using Serverless.Tests.Dispatching;
using Shouldly;

namespace Serverless.Tests.Loops;

/// <summary>What the probe tells strangers of loops.</summary>
public sealed class LoopsCheckTests
{
    [Fact]
    public async Task It_tells_which_kinds_of_loops_fail_and_not_for_whom_they_work()
    {
        var (time, loops) = (new TestClock(), new RecordingLoops());
        var supervisor = new Supervisor(time, loops);
        using var stop = new CancellationTokenSource();
        Task[] running = [.. new[] { "secret-model", "other-model" }.Select(model => supervisor.RunAsync("dispatcher", _ => throw new InvalidOperationException("no"), stop.Token, model))];
        await time.PassUntilAsync(() => supervisor.Loops.All(loop => loop.IsFailing), "both fail");

        var result = await new LoopsCheck(supervisor).CheckHealthAsync(
            new HealthCheckContext { Registration = new HealthCheckRegistration("loops", new LoopsCheck(supervisor), HealthStatus.Unhealthy, []) }, TestContext.Current.CancellationToken);

        result.Status.ShouldBe(HealthStatus.Unhealthy);
        result.Description.ShouldBe("2 loops fail whenever they are run, the log says which and why: dispatcher");
        loops.Failures.ShouldContain(failure => failure.Subject == "secret-model", "whoever may read the log finds it there");
        await stop.CancelAsync();
        await Task.WhenAll(running);
    }
}
