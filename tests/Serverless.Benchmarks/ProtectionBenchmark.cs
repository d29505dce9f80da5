using System.Globalization;
using System.Net.Http.Headers;
using System.Text;

namespace Serverless.Benchmarks;

/// <summary>
/// What a batch that takes all there is costs whoever waits: the time to the first token of interactive requests with the model of the clone, while a batch saturates it and while nothing else runs, in
/// turns; and what the batch loses to them.
/// </summary>
internal static class ProtectionBenchmark
{
    private const int Blocks = 20;
    private const int OfABlock = 10;
    private const int Lines = 2000;
    private const int Tokens = 8;

    private static readonly byte[] Body = Encoding.UTF8.GetBytes("""{"model":"smollm2-135m-instruct","stream":true,"max_tokens":8,"temperature":0,"messages":[{"role":"user","content":"Name a fruit."}]}""");

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var server = await ServerProcess.StartAsync("serve-shipped");
        using var http = new HttpClient { BaseAddress = server.Address, Timeout = Timeout.InfiniteTimeSpan };
        var input = await BatchClient.UploadAsync(http, Lines, i => $$"""{"model":"smollm2-135m-instruct","max_tokens":64,"messages":[{"role":"user","content":"Tell me of the number {{i}}."}]}""", cancellationToken);
        for (var i = 0; i < OfABlock; i++) await AskAsync(http, cancellationToken); // loaded, compiled and warm

        List<TimeSpan> idle = [], beside = [], steps = [];
        List<double> alone = [], shared = [];
        for (var block = 0; block < Blocks; block++)
        {
            for (var i = 0; i < OfABlock; i++) idle.Add((await AskAsync(http, cancellationToken)).First);

            var batch = await BatchClient.CreateAsync(http, input, cancellationToken);
            await BatchClient.UntilAsync(http, batch, state => state.GetProperty("status").GetString() == "in_progress", cancellationToken);
            await PauseAsync(TimeSpan.FromSeconds(2), cancellationToken); // its window opens, the engine's places fill
            alone.Add(await RateAsync(http, () => PauseAsync(TimeSpan.FromSeconds(4), cancellationToken), 0, cancellationToken));
            shared.Add(await RateAsync(http, async () =>
            {
                for (var i = 0; i < OfABlock; i++)
                {
                    var (first, step) = await AskAsync(http, cancellationToken);
                    (beside, steps).Add(first, step);
                    await PauseAsync(TimeSpan.FromMilliseconds(400), cancellationToken); // light: a request every half second
                }
            }, OfABlock * Tokens, cancellationToken));
            await BatchClient.CancelAsync(http, batch, cancellationToken);
            await BatchClient.UntilAsync(http, batch, state => state.GetProperty("status").GetString() == "cancelled", cancellationToken);
        }

        var (p95, under, aStep) = (idle.At(0.95).TotalMilliseconds, beside.At(0.95).TotalMilliseconds, steps.At(0.5).TotalMilliseconds);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"protection, {idle.Count} interactive requests while idle and as many beside a batch, in turns of {OfABlock}, the shipped model"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  first token p50 {idle.At(0.5).TotalMilliseconds:F1} ms idle, {beside.At(0.5).TotalMilliseconds:F1} ms beside; p95 {p95:F1} and {under:F1} ms; a step beside the batch {aStep:F1} ms; aim for the p95 beside ≤ {(p95 * 1.2) + aStep:F1} ms"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  the batch: {Rounds.Median(alone):F0} tokens/s alone, {Rounds.Median(shared):F0} beside a request every half second, ratio {Rounds.Median(alone.Zip(shared, (one, other) => other / one)):F2} (aim ≥ 0.9)"));
    }

    private static void Add(this (List<TimeSpan> First, List<TimeSpan> Step) lists, TimeSpan first, TimeSpan step)
    {
        lists.First.Add(first);
        lists.Step.Add(step);
    }

    /// <summary>Tokens of the batch in a second, while something goes on: those of all requests that ended, less ours.</summary>
    private static async Task<double> RateAsync(HttpClient http, Func<Task> meanwhile, int ours, CancellationToken cancellationToken)
    {
        var (before, began) = (await TokensAsync(http, cancellationToken), TimeProvider.System.GetTimestamp());
        await meanwhile();
        return (await TokensAsync(http, cancellationToken) - before - ours) / TimeProvider.System.GetElapsedTime(began).TotalSeconds;
    }

    private static async Task<double> TokensAsync(HttpClient http, CancellationToken cancellationToken) =>
        BatchClient.Sum(await http.GetStringAsync(new Uri("/metrics", UriKind.Relative), cancellationToken), "serverless_gateway_tokens_total", "gen_ai_token_type=\"output\"");

    private static async Task PauseAsync(TimeSpan span, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(span, TimeProvider.System);
        await timer.WaitForNextTickAsync(cancellationToken);
    }

    /// <summary>Time to the first token, and the median time from one token to the next.</summary>
    private static async Task<(TimeSpan First, TimeSpan Step)> AskAsync(HttpClient http, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/chat/completions", UriKind.Relative)) { Content = new ByteArrayContent(Body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } } };
        var began = TimeProvider.System.GetTimestamp();
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken));
        List<TimeSpan> times = [];
        while (await reader.ReadLineAsync(cancellationToken) is { } line)
        {
            if (line.StartsWith("data: {", StringComparison.Ordinal) && line.Contains("\"content\":\"", StringComparison.Ordinal) && !line.Contains("\"content\":\"\"", StringComparison.Ordinal)) times.Add(TimeProvider.System.GetElapsedTime(began));
        }

        return times.Count > 1 ? (times[0], times.Zip(times.Skip(1), (one, next) => next - one).At(0.5)) : throw new InvalidOperationException("A stream had no tokens.");
    }
}
