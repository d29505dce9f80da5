namespace Serverless.Hosting.Telemetry;

/// <summary>The word by which a line says which part speaks: of a category, never its type.</summary>
internal static class LogWords
{
    /// <summary>The longest word: lines are aligned behind it.</summary>
    public const int Width = 8;

    /// <summary>Namespaces and their words; the longest that fits counts.</summary>
    private static readonly (string Prefix, string Word)[] Table =
    [
        .. new (string Prefix, string Word)[]
        {
            ("Serverless.Gateway", "http"),
            ("Serverless.Gateway.Batches", "batch"),
            ("Serverless.Gateway.Callbacks", "callback"),
            ("Serverless.Gateway.Dispatching", "dispatch"),
            ("Serverless.Gateway.Files", "file"),
            ("Serverless.Gateway.Requests", "request"),
            ("Serverless.Gateway.Inbound", "event"),
            ("Serverless.Gateway.Messaging", "message"),
            ("Serverless.Gateway.Notices", "event"),
            ("Serverless.Gateway.Outbound", "event"),
            ("Serverless.Hosting", "process"),
            ("Serverless.Hosting.Configuration", "config"),
            ("Serverless.Hosting.Dapr", "dapr"),
            ("Serverless.Hosting.Keys", "keys"),
            ("Serverless.Hosting.Loading", "models"),
            ("Serverless.Hosting.Manifests", "models"),
            ("Serverless.Hosting.MassTransit", "message"),
            ("Serverless.Hosting.Probes", "probe"),
            ("Serverless.Hosting.RabbitMq", "broker"),
            ("Serverless.Hosting.Redis", "redis"),
            ("Serverless.Hosting.Redis.Catalog", "models"),
            ("Serverless.Hosting.Sessions", "session"),
            ("Serverless.Hosting.Sqlite", "data"),
            ("Serverless.Hosting.Tls", "tls"),
            ("Serverless.Scaler", "scale"),
            ("Serverless.Scaling", "scale"),
            ("Serverless.Worker", "replica"),
            ("Serverless", "process"),
            ("Microsoft.AspNetCore", "http"),
            ("Microsoft", "process"),
            ("Grpc", "grpc"),
            ("MassTransit", "message"),
            ("StackExchange.Redis", "redis"),
        }.OrderByDescending(entry => entry.Prefix.Length),
    ];

    /// <summary>The word of a category.</summary>
    public static string Of(string category)
    {
        foreach (var (prefix, word) in Table)
        {
            if (category.StartsWith(prefix, StringComparison.Ordinal) && (category.Length == prefix.Length || category[prefix.Length] == '.')) return word;
        }

        var first = category.Split('.')[0].ToLowerInvariant();
        return first.Length <= Width ? first : first[..Width];
    }

    /// <summary>The namespaces that speak under a word; none where it is none of ours.</summary>
    public static IEnumerable<string> Prefixes(string word) => Table.Where(entry => entry.Word.Equals(word, StringComparison.OrdinalIgnoreCase)).Select(entry => entry.Prefix);
}
