using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;

namespace Serverless.Benchmarks;

/// <summary>
/// What strangers' large prompts cost the embedded path with the shipped model: 200 at once of nearly 16 MB without a space, which no context holds. Printed are their answers, the gateway's peak
/// of resident memory, its processor time a prompt, and the longest silence of a stream that runs meanwhile.
/// </summary>
internal static class BodiesBenchmark
{
    private const int Prompts = 200;
    private const int PromptBytes = 16_000_000;

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"bodies, {Prompts} parallel prompts of {PromptBytes / 1e6:F0} MB without a space, embedded path with the shipped model"));
        await using var server = await ServerProcess.StartAsync("serve-shipped");
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = Prompts + 1 }) { BaseAddress = server.Address, Timeout = TimeSpan.FromMinutes(5) };

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var begun = new TaskCompletionSource();
        var silence = LongestSilenceAsync(http, begun, stop.Token);
        await begun.Task.WaitAsync(cancellationToken);

        var body = Encoding.UTF8.GetBytes($$"""{"model":"smollm2-135m-instruct","max_tokens":1,"prompt":"{{new string('a', PromptBytes)}}"}""");
        var (before, memory) = (server.ProcessorSeconds, server.ResidentBytes);
        var answers = await Task.WhenAll(Enumerable.Range(0, Prompts).Select(_ => SendAsync(http, body, cancellationToken)));
        var spent = server.ProcessorSeconds - before;
        await stop.CancelAsync();
        var (longest, parts) = await silence;

        foreach (var group in answers.CountBy(answer => answer).OrderBy(group => group.Key, StringComparer.Ordinal)) Console.WriteLine($"  {group.Value} answered {group.Key}");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  resident memory {memory / 1e6:F0} MB before, {server.PeakResidentBytes / 1e6:F0} MB at most"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  processor time of the server {spent / Prompts * 1e3:F1} ms a prompt, with what the stream beside them cost"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  a stream beside them: {parts} parts, longest silence {longest.TotalSeconds:F2} s"));
    }

    private static async Task<string> SendAsync(HttpClient http, byte[] body, CancellationToken cancellationToken)
    {
        try
        {
            using var content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
            using var response = await http.PostAsync(new Uri("v1/completions", UriKind.Relative), content, cancellationToken);
            var text = await response.Content.ReadAsStringAsync(cancellationToken);
            return $"{(int)response.StatusCode} {text[..Math.Min(text.Length, 160)].ReplaceLineEndings(" ")}";
        }
        catch (HttpRequestException exception)
        {
            return $"nothing: {exception.InnerException?.GetType().Name ?? exception.GetType().Name}";
        }
    }

    private static async Task<(TimeSpan Longest, int Parts)> LongestSilenceAsync(HttpClient http, TaskCompletionSource begun, CancellationToken stop)
    {
        var (longest, parts) = (TimeSpan.Zero, 0);
        try
        {
            while (!stop.IsCancellationRequested)
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("v1/completions", UriKind.Relative))
                {
                    Content = JsonContent.Create(new { model = "smollm2-135m-instruct", prompt = "Once upon a time", max_tokens = 2000, ignore_eos = true, stream = true, temperature = 0 }),
                };
                using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
                using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(stop));
                var last = 0L;
                while (await lines.ReadLineAsync(stop) is { } line)
                {
                    if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
                    begun.TrySetResult();
                    if (last != 0 && TimeProvider.System.GetElapsedTime(last) is var silent && silent > longest) longest = silent;
                    (last, parts) = (TimeProvider.System.GetTimestamp(), parts + 1);
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
        }

        return (longest, parts);
    }
}
