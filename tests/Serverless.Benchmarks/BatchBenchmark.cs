using System.Globalization;
using System.Text;
using System.Text.Json;

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
        var (commits, lines) = (Sum(figures, "serverless_batches_commits_total"), Sum(figures, "serverless_batches_lines_total"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {lines:F0} lines were kept in {commits:F0} commits of at most three writes: {3 * commits / lines:F3} writes a line (aim ≤ 0.1)"));

        await using var fresh = await ServerProcess.StartAsync("serve-batches");
        using var other = new HttpClient { BaseAddress = fresh.Address, Timeout = Timeout.InfiniteTimeSpan };
        var took = await RunBatchAsync(other, await UploadAsync(other, Long, cancellationToken), cancellationToken);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {Long} lines in {took.TotalSeconds:F0} s; the process took at most {fresh.PeakResidentBytes / 1048576.0:F0} MiB (aim ≤ 300)"));
    }

    private static async Task<string> UploadAsync(HttpClient http, int lines, CancellationToken cancellationToken)
    {
        var path = Path.GetTempFileName();
        await using (var writer = new StreamWriter(path))
        {
            for (var i = 0; i < lines; i++)
            {
                await writer.WriteAsync(string.Create(
                    CultureInfo.InvariantCulture,
                    $$$"""{"custom_id":"line-{{{i}}}","method":"POST","url":"/v1/chat/completions","body":{"model":"{{{Servers.Model}}}","messages":[{"role":"user","content":"{{{new string('x', PromptBytes)}}}"}]}}""") + "\n");
            }
        }

        await using var content = File.OpenRead(path);
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new StreamContent(content), "file", "lines.jsonl" } };
        using var answer = await http.PostAsync(new Uri("/v1/files", UriKind.Relative), form, cancellationToken);
        File.Delete(path);
        return (await JsonAsync(answer, cancellationToken)).GetProperty("id").GetString()!;
    }

    private static async Task<TimeSpan> RunBatchAsync(HttpClient http, string input, CancellationToken cancellationToken)
    {
        var began = TimeProvider.System.GetTimestamp();
        using var content = new StringContent($$"""{"input_file_id":"{{input}}","endpoint":"/v1/chat/completions","completion_window":"24h"}""", Encoding.UTF8, "application/json");
        using var created = await http.PostAsync(new Uri("/v1/batches", UriKind.Relative), content, cancellationToken);
        var id = (await JsonAsync(created, cancellationToken)).GetProperty("id").GetString();
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        while (true)
        {
            using var answer = await http.GetAsync(new Uri($"/v1/batches/{id}", UriKind.Relative), cancellationToken);
            var batch = await JsonAsync(answer, cancellationToken);
            switch (batch.GetProperty("status").GetString())
            {
                case "completed" when batch.GetProperty("request_counts").GetProperty("failed").GetInt32() == 0:
                    return TimeProvider.System.GetElapsedTime(began);
                case "validating" or "in_progress" or "finalizing":
                    await pace.WaitForNextTickAsync(cancellationToken);
                    break;
                default:
                    throw new InvalidOperationException($"The batch did not complete: {batch.GetRawText()}");
            }
        }
    }

    private static async Task<JsonElement> JsonAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        return answer.IsSuccessStatusCode ? JsonElement.Parse(text) : throw new InvalidOperationException($"{(int)answer.StatusCode}: {text}");
    }

    private static double Sum(string figures, string name) => figures.Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal)).Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));
}
