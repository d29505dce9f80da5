using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Serverless.Hosting.Probes;
using Shouldly;

namespace Serverless.Tests.Telemetry;

public sealed class ProbeLogTests
{
    private readonly FakeLogger<ProbeLog> _logger = new();

    [Fact]
    public void A_line_is_told_when_other_checks_fail_than_before_and_never_for_a_stop()
    {
        var log = new ProbeLog(_logger);

        log.Answered("ready", Report());
        log.Answered("ready", Report(("dependencies", "redis does not answer")));
        log.Answered("ready", Report(("dependencies", "redis OOM")));
        log.Answered("ok", Report());
        log.Answered("ready", Report());
        log.Answered("ready", Report((ProbeLog.Process, "is stopping")));

        _logger.Collector.GetSnapshot().Select(line => (line.Level, line.Message)).ShouldBe(
        [
            (LogLevel.Information, "Asked whether it is ready, this process says dependencies: redis does not answer"),
            (LogLevel.Information, "Asked whether it is ready, this process has no fault to tell any more"),
        ]);
    }

    private static HealthReport Report(params (string Check, string Fault)[] faults) => new(
        faults.ToDictionary(fault => fault.Check, fault => new HealthReportEntry(HealthStatus.Unhealthy, fault.Fault, TimeSpan.Zero, null, null), StringComparer.Ordinal), TimeSpan.Zero);
}
