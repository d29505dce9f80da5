using System.Globalization;

namespace Serverless.Benchmarks;

/// <summary>
/// Lines of a batch per second with a zero-cost engine, from its creation to its files, against what one client gets for the same requests over 16 connections; what it writes; and a gateway's memory
/// while it runs a million lines.
/// </summary>
internal static class BatchBenchmark
{
    private const int PromptBytes = 256;
    private const int Lines = 20_000;
    private const int Requests = 4000;
    private const int Long = 1_000_000;

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var server = await ServerProcess.StartAsync("serve-batches");
        using var client = new LoadClient(server.Address, PromptBytes);
        using var http = new HttpClient { BaseAddress = server.Address, Timeout = Timeout.InfiniteTimeSpan };
        var input = await UploadAsync(http, Lines, cancellationToken);
        await client.RateAsync(20_000, 16); // compiled and warm before anything counts
        await Rounds.RunAsync(
            $"batch, {Lines} lines with a zero-cost engine, anchor one client at concurrency 16",
            async () => new(StringComparer.Ordinal) { ["lines/s"] = Lines / (await RunBatchAsync(http, input, cancellationToken)).TotalSeconds },
            async () => new(StringComparer.Ordinal) { ["lines/s"] = await client.RateAsync(Requests, 16) });

        var figures = await http.GetStringAsync(new Uri("/metrics", UriKind.Relative), cancellationToken);
        var (commits, lines) = (BatchClient.Sum(figures, "serverless_batches_commits_total"), BatchClient.Sum(figures, "serverless_batches_lines_total"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {lines:F0} lines were kept in {commits:F0} commits of at most three writes: {3 * commits / lines:F3} writes a line (aim ≤ 0.1)"));

        await using var fresh = await ServerProcess.StartAsync("serve-batches");
        using var other = new HttpClient { BaseAddress = fresh.Address, Timeout = Timeout.InfiniteTimeSpan };
        var took = await RunBatchAsync(other, await UploadAsync(other, Long, cancellationToken), cancellationToken);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {Long} lines in {took.TotalSeconds:F0} s; the process took at most {fresh.PeakResidentBytes / 1048576.0:F0} MiB (aim ≤ 300)"));
    }

    private static async Task<TimeSpan> RunBatchAsync(HttpClient http, string input, CancellationToken cancellationToken)
    {
        var began = TimeProvider.System.GetTimestamp();
        var batch = await BatchClient.CreateAsync(http, input, cancellationToken);
        var ended = await BatchClient.UntilAsync(http, batch, state => state.GetProperty("status").GetString() is not ("validating" or "in_progress" or "finalizing"), cancellationToken);
        var took = TimeProvider.System.GetElapsedTime(began);
        return ended.GetProperty("status").GetString() == "completed" && ended.GetProperty("request_counts").GetProperty("failed").GetInt32() == 0 ? took : throw new InvalidOperationException($"The batch did not complete: {ended.GetRawText()}");
    }

    private static Task<string> UploadAsync(HttpClient http, int lines, CancellationToken cancellationToken)
    {
        var prompt = new string('x', PromptBytes);
        return BatchClient.UploadAsync(http, lines, _ => $$"""{"model":"{{Servers.Model}}","messages":[{"role":"user","content":"{{prompt}}"}]}""", cancellationToken);
    }
}
