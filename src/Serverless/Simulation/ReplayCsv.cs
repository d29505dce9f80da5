using System.Globalization;
using System.Text;

namespace Serverless.Simulation;

/// <summary>Results and courses as comma-separated values, a header first; numbers as machines read them.</summary>
public static class ReplayCsv
{
    /// <summary>One line per result.</summary>
    public static string Results(IEnumerable<ReplayResult> results)
    {
        ArgumentNullException.ThrowIfNull(results);
        var csv = new StringBuilder("trace,policy,requests,gpu_hours,attainment,ttft_p50_s,ttft_p99_s,scale_events,peak_replicas\n");
        foreach (var result in results)
        {
            csv.Append(CultureInfo.InvariantCulture, $"{result.Trace},{result.Policy},{result.Requests},{result.GpuHours:F4},{result.Attainment:F4},{result.FirstTokenP50:F3},{result.FirstTokenP99:F3},{result.ScaleEvents},{result.PeakReplicas}\n");
        }

        return csv.ToString();
    }

    /// <summary>One line per ten seconds of one replay.</summary>
    public static string Course(ReplayResult result)
    {
        ArgumentNullException.ThrowIfNull(result);
        var csv = new StringBuilder("seconds,desired,ready,waiting,tokens_per_second\n");
        foreach (var point in result.Course) csv.Append(CultureInfo.InvariantCulture, $"{point.At:F0},{point.Desired},{point.Ready},{point.Waiting},{point.Arrivals:F1}\n");
        return csv.ToString();
    }
}
