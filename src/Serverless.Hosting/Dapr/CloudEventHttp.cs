using Microsoft.AspNetCore.Http;
using Serverless.Events;

namespace Serverless.Hosting.Dapr;

/// <summary>CloudEvents 1.0 over HTTP: structured, the body is the event; binary, the headers <c>ce-…</c> are its attributes and the body its data.</summary>
internal static class CloudEventHttp
{
    private const string Prefix = "ce-";

    /// <summary>Whether a request says that it is one.</summary>
    public static bool Is(HttpRequest request) => IsStructured(request.ContentType) || IsBinary(request.Headers);

    /// <exception cref="InvalidDataException">It is none; the message says why.</exception>
    public static CloudEvent Decode(HttpRequest request, ReadOnlyMemory<byte> body)
    {
        if (request.ContentType?.StartsWith("application/cloudevents-batch", StringComparison.OrdinalIgnoreCase) == true)
            throw new InvalidDataException("It is a batch of events; send each by itself.");
        return IsStructured(request.ContentType) || !IsBinary(request.Headers) ? CloudEventJson.Decode(body) : CloudEventAttributes.Read(Attributes(request.Headers), body);
    }

    private static bool IsStructured(string? contentType) => contentType?.StartsWith(CloudEventJson.ContentType, StringComparison.OrdinalIgnoreCase) == true;

    private static bool IsBinary(IHeaderDictionary headers) => headers.ContainsKey(Prefix + "id") || headers.ContainsKey(Prefix + "specversion");

    private static Dictionary<string, string> Attributes(IHeaderDictionary headers)
    {
        var attributes = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, values) in headers)
        {
            if (!name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase)) continue;
            if (values.Count > 1) throw new InvalidDataException($"The header '{name}' comes {values.Count} times; an attribute has one value.");
            attributes[name[Prefix.Length..].ToLowerInvariant()] = Uri.UnescapeDataString(values.ToString());
        }

        if (!attributes.ContainsKey("traceparent") && headers.TryGetValue("traceparent", out var trace)) attributes["traceparent"] = trace.ToString();
        return attributes;
    }
}
