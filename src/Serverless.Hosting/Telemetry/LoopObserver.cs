using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Loops;

namespace Serverless.Hosting.Telemetry;

/// <summary>Logs and counts loops that fail, and stops the process for one that must not go on.</summary>
internal sealed partial class LoopObserver(LoopMetrics metrics, IHostApplicationLifetime lifetime, ILogger<LoopObserver> logger) : ILoopObserver
{
    /// <inheritdoc/>
    public void Failed(string loop, string subject, Exception exception, TimeSpan? pause)
    {
        metrics.Failed(loop);
        if (pause is { } rest)
        {
            LogFailed(exception, loop, subject, rest.TotalSeconds);
            return;
        }

        LogFatal(exception, loop, subject);
        Environment.ExitCode = 1;
        lifetime.StopApplication();
    }

    [LoggerMessage(LogLevel.Error, "Loop {Loop} failed ({Subject}); it is run again in {Seconds:0.0} s.")]
    private partial void LogFailed(Exception exception, string loop, string subject, double seconds);

    [LoggerMessage(LogLevel.Critical, "Loop {Loop} failed ({Subject}) and cannot go on; the process stops.")]
    private partial void LogFatal(Exception exception, string loop, string subject);
}

/// <summary>How often loops fail.</summary>
internal sealed class LoopMetrics(IMeterFactory meters)
{
    private readonly Counter<long> _failures = meters.Create("Serverless.Loops").CreateCounter<long>(
        "serverless.loop.failures", "{failure}", "Loops of a process that failed, and were run again after a pause or stopped the process.");

    public void Failed(string loop) => _failures.Add(1, new KeyValuePair<string, object?>("loop", loop));
}
