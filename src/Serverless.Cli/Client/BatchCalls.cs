using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Serverless.Cli.Client;

/// <summary>Calls about batches and their files.</summary>
internal sealed class BatchCalls(ServingClient client)
{
    private const string Root = "v1/batches";

    /// <summary>A long file over a slow line.</summary>
    private static readonly TimeSpan UploadPatience = TimeSpan.FromHours(1);

    /// <summary>Uploads requests as a file; its id.</summary>
    public Task<string> UploadAsync(Stream content, string filename, CancellationToken cancellationToken)
    {
        var part = new StreamContent(content, 128 * 1024);
        part.Headers.ContentType = new MediaTypeHeaderValue("application/jsonl");
        var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { part, "file", filename } };
        return client.AskAsync(HttpMethod.Post, "v1/files", root => root.GetProperty("id").GetString()!, cancellationToken, form, UploadPatience);
    }

    public Task<BatchRow> CreateAsync(string file, string endpoint, string window, CancellationToken cancellationToken)
    {
        var body = JsonSerializer.Serialize(new Dictionary<string, string> { ["input_file_id"] = file, ["endpoint"] = endpoint, ["completion_window"] = window });
        return client.AskAsync(HttpMethod.Post, Root, BatchRow.Of, cancellationToken, new StringContent(body, Encoding.UTF8, "application/json"));
    }

    public Task<IReadOnlyList<BatchRow>> ListAsync(int limit, CancellationToken cancellationToken) =>
        client.AskAsync<IReadOnlyList<BatchRow>>(HttpMethod.Get, string.Create(CultureInfo.InvariantCulture, $"{Root}?limit={limit}"), root => [.. root.GetProperty("data").EnumerateArray().Select(BatchRow.Of)], cancellationToken);

    public Task<BatchRow> GetAsync(string id, CancellationToken cancellationToken) => client.AskAsync(HttpMethod.Get, $"{Root}/{Uri.EscapeDataString(id)}", BatchRow.Of, cancellationToken);

    public Task<BatchRow> CancelAsync(string id, CancellationToken cancellationToken) => client.AskAsync(HttpMethod.Post, $"{Root}/{Uri.EscapeDataString(id)}/cancel", BatchRow.Of, cancellationToken);

    /// <summary>The lines of a file, as they come.</summary>
    public IAsyncEnumerable<string> LinesAsync(string file, CancellationToken cancellationToken) => client.LinesAsync($"v1/files/{Uri.EscapeDataString(file)}/content", cancellationToken);
}
