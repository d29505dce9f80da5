using System.Diagnostics;
using System.Globalization;

namespace Serverless.Benchmarks;

/// <summary>Interleaved rounds of ours and an anchor: in each round both are measured, one after the other. Rounds that others disturbed are dropped; where too few are left, the least disturbed count, and the last line says so.</summary>
internal static class Rounds
{
    private const int Wanted = 7;
    private const int AtMost = 25;

    /// <summary>Prints, for each figure, the medians and the median of the rounds' ratios.</summary>
    /// <param name="title">What is measured.</param>
    /// <param name="ours">Measures ours once; figures by name.</param>
    /// <param name="anchor">Measures the anchor once; the same names.</param>
    public static async Task RunAsync(string title, Func<Task<Dictionary<string, double>>> ours, Func<Task<Dictionary<string, double>>> anchor)
    {
        Console.WriteLine(title);
        await ours(); // warm: compiled, mapped, cached
        await anchor();

        var all = new List<(Dictionary<string, double> Ours, Dictionary<string, double> Anchor, double Others)>();
        while (all.Count(round => round.Others <= ProcessorTime.Disturbed) < Wanted && all.Count < AtMost)
        {
            var (before, own) = (ProcessorTime.Now(), ProcessorTime.Ours());
            var (mine, theirs) = (await ours(), await anchor());
            all.Add((mine, theirs, ProcessorTime.Now().OthersSince(before, ProcessorTime.Ours() - own)));
        }

        var rounds = all.OrderBy(round => round.Others).Take(Wanted).ToArray();
        foreach (var name in rounds[0].Ours.Keys)
        {
            var (mine, theirs) = (Median(rounds.Select(round => round.Ours[name])), Median(rounds.Select(round => round.Anchor[name])));
            var ratio = Median(rounds.Select(round => round.Ours[name] / round.Anchor[name]));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-34} ours {mine,10:F3}   anchor {theirs,10:F3}   ratio {ratio:F2}   difference {mine - theirs:F3}"));
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  medians of the {rounds.Length} least disturbed of {all.Count} rounds; others took up to {rounds.Max(round => round.Others):P0} of the machine"));
    }

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>Runs a program to its end and gives its output.</summary>
    public static async Task<string> RunProgramAsync(string path, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(path, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await errors;
        await process.WaitForExitAsync();
        return output;
    }
}
