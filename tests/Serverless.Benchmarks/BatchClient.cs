using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Serverless.Benchmarks;

/// <summary>A client of OpenAI's Batch API, as far as measurements need one.</summary>
internal static class BatchClient
{
    /// <summary>Uploads a file of requests; its id.</summary>
    public static async Task<string> UploadAsync(HttpClient http, int lines, Func<int, string> body, CancellationToken cancellationToken)
    {
        var path = Path.GetTempFileName();
        await using (var writer = new StreamWriter(path))
        {
            for (var i = 0; i < lines; i++)
            {
                await writer.WriteAsync(string.Create(CultureInfo.InvariantCulture, $$$"""{"custom_id":"line-{{{i}}}","method":"POST","url":"/v1/chat/completions","body":{{{body(i)}}}}"""));
                await writer.WriteAsync('\n');
            }
        }

        await using var content = File.OpenRead(path);
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new StreamContent(content), "file", "lines.jsonl" } };
        using var answer = await http.PostAsync(new Uri("/v1/files", UriKind.Relative), form, cancellationToken);
        File.Delete(path);
        return (await JsonAsync(answer, cancellationToken)).GetProperty("id").GetString()!;
    }

    /// <summary>Creates a batch of it; its id.</summary>
    public static async Task<string> CreateAsync(HttpClient http, string input, CancellationToken cancellationToken)
    {
        using var content = new StringContent($$"""{"input_file_id":"{{input}}","endpoint":"/v1/chat/completions","completion_window":"24h"}""", Encoding.UTF8, "application/json");
        using var created = await http.PostAsync(new Uri("/v1/batches", UriKind.Relative), content, cancellationToken);
        return (await JsonAsync(created, cancellationToken)).GetProperty("id").GetString()!;
    }

    /// <summary>Gives a batch up.</summary>
    public static async Task CancelAsync(HttpClient http, string batch, CancellationToken cancellationToken)
    {
        using var answer = await http.PostAsync(new Uri($"/v1/batches/{batch}/cancel", UriKind.Relative), null, cancellationToken);
        await JsonAsync(answer, cancellationToken);
    }

    /// <summary>The batch once it is so.</summary>
    public static async Task<JsonElement> UntilAsync(HttpClient http, string batch, Func<JsonElement, bool> isSo, CancellationToken cancellationToken)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        while (true)
        {
            using var answer = await http.GetAsync(new Uri($"/v1/batches/{batch}", UriKind.Relative), cancellationToken);
            var state = await JsonAsync(answer, cancellationToken);
            if (isSo(state)) return state;
            await pace.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>Of all series of a name, or of those with a label.</summary>
    public static double Sum(string figures, string name, string label = "") =>
        figures.Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal) && line.Contains(label, StringComparison.Ordinal)).Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));

    private static async Task<JsonElement> JsonAsync(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        return answer.IsSuccessStatusCode ? JsonElement.Parse(text) : throw new InvalidOperationException($"{(int)answer.StatusCode}: {text}");
    }
}
