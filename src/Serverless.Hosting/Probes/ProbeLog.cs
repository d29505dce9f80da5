using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace Serverless.Hosting.Probes;

/// <summary>A line when other checks of a probe fail than before, however often it is asked. That a process starts or stops is no fault of it. Thread-safe.</summary>
internal sealed partial class ProbeLog(ILogger<ProbeLog> logger)
{
    /// <summary>The check that says whether the process starts or stops.</summary>
    public const string Process = "process";

    private readonly Lock _lock = new();
    private readonly Dictionary<string, string> _failing = new(StringComparer.Ordinal);

    /// <summary>A probe was answered.</summary>
    /// <param name="asked">What it asks for: <c>ready</c>.</param>
    /// <param name="report">What the checks found.</param>
    public void Answered(string asked, HealthReport report)
    {
        var faults = report.Entries.Where(entry => entry.Key != Process && entry.Value.Status != HealthStatus.Healthy).OrderBy(entry => entry.Key, StringComparer.Ordinal).ToList();
        var failing = string.Join(' ', faults.Select(fault => fault.Key));
        lock (_lock)
        {
            if (failing == _failing.GetValueOrDefault(asked, "")) return;
            _failing[asked] = failing;
        }

        if (faults.Count > 0) LogFailing(asked, string.Join("; ", faults.Select(fault => $"{fault.Key}: {fault.Value.Description}")));
        else LogPassing(asked);
    }

    [LoggerMessage(LogLevel.Information, "Asked whether it is {Asked}, this process says {Faults}")]
    private partial void LogFailing(string asked, string faults);

    [LoggerMessage(LogLevel.Information, "Asked whether it is {Asked}, this process has no fault to tell any more")]
    private partial void LogPassing(string asked);
}
