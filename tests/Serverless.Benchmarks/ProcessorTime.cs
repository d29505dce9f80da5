using System.Globalization;

namespace Serverless.Benchmarks;

/// <summary>How busy this machine was with other things than ours, from /proc.</summary>
internal readonly record struct ProcessorTime(double Busy, double Total)
{
    /// <summary>The share of all processor time above which a round does not count.</summary>
    public const double Disturbed = 0.12;

    private const double TicksPerSecond = 100;

    public static ProcessorTime Now()
    {
        if (!File.Exists("/proc/stat")) return default;
        var ticks = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(text => double.Parse(text, CultureInfo.InvariantCulture)).ToArray();
        return new ProcessorTime(ticks.Sum() - ticks[3] - ticks[4], ticks.Sum());
    }

    /// <summary>Servers that run for us beside this process.</summary>
    public static HashSet<int> Servers { get; } = [];

    /// <summary>Processor time of this process, of the programs it ran to their end, and of the servers that run for it.</summary>
    public static TimeSpan Ours() =>
        File.Exists("/proc/self/stat") ? Servers.Aggregate(Of("self"), (sum, id) => sum + Of($"{id}")) : Environment.CpuUsage.TotalTime;

    /// <summary>The share of processor time since <paramref name="before"/> that neither we nor the program we measured took.</summary>
    public double OthersSince(ProcessorTime before, TimeSpan ours)
    {
        return Total > before.Total ? Math.Max(0, (Busy - before.Busy - (ours.TotalSeconds * TicksPerSecond)) / (Total - before.Total)) : 0;
    }

    /// <summary>Processor time of one process.</summary>
    public static TimeSpan Of(int process) => File.Exists("/proc/self/stat") ? Of($"{process}") : default;

    private static TimeSpan Of(string process)
    {
        var fields = File.ReadAllText($"/proc/{process}/stat").Split(") ")[1].Split(' ');
        return TimeSpan.FromSeconds(fields[11..15].Sum(ticks => double.Parse(ticks, CultureInfo.InvariantCulture)) / TicksPerSecond);
    }
}
