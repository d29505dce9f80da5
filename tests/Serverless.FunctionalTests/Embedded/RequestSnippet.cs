using System.Text;

namespace Serverless.FunctionalTests.Embedded;

/// <summary>The C# of docs/requests.md, so that it compiles and runs; a test compares the two.</summary>
internal static class RequestSnippet
{
    public static async Task RunAsync(HttpClient client, Action<string> output, CancellationToken stop)
    {
        // from here
        const string Path = "/v1/chat/completions";
        const string Body = """{"model":"smollm2-135m-instruct","max_tokens":16,"messages":[{"role":"user","content":"Count to ten."}]}""";

        // A stream that outlives its connection: what is read first, then the rest.
        using (var response = await SendAsync(Path, Body.Replace("{\"model\"", "{\"stream\":true,\"model\"", StringComparison.Ordinal), ("Prefer", "resume=30")))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(stop));
            var (id, last) = (response.Headers.GetValues("x-request-id").Single(), "");
            while (last.Length == 0 && await reader.ReadLineAsync(stop) is { } line) last = line.StartsWith("id: ", StringComparison.Ordinal) ? line[4..] : "";

            using var rest = await SendAsync($"/v1/requests/{id}/events", null, ("Last-Event-ID", last));
            output(await rest.Content.ReadAsStringAsync(stop));
        }

        // An answer by an id; its events end when it has.
        using (var accepted = await SendAsync(Path, Body, ("Prefer", "respond-async")))
        {
            var location = accepted.Headers.Location!.ToString();
            using var events = await SendAsync(location + "/events", null);
            await events.Content.ReadAsStringAsync(stop);
            output(await client.GetStringAsync(location, stop));
        }

        // The same request, however often it is sent.
        using var first = await SendAsync(Path, Body, ("Idempotency-Key", "order-4713"));
        using var second = await SendAsync(Path, Body, ("Idempotency-Key", "order-4713"));
        output(first.Headers.GetValues("x-request-id").Single() == second.Headers.GetValues("x-request-id").Single() ? "once" : "twice");

        async Task<HttpResponseMessage> SendAsync(string path, string? body, params (string Name, string Value)[] headers)
        {
            using var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, path);
            if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
            foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
            return (await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop)).EnsureSuccessStatusCode();
        }
        // to here
    }
}
