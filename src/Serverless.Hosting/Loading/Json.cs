using System.Text.Json;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>Reads a stranger's JSON: what is of another kind is not there.</summary>
internal static class Json
{
    public static JsonElement? Get(this JsonElement? element, string name)
    {
        try
        {
            return element is { ValueKind: JsonValueKind.Object } all && all.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
        }
        catch (InvalidOperationException)
        {
            return null; // a name that is no text
        }
    }

    public static string? Text(this JsonElement? element, string name)
    {
        try
        {
            return element.Get(name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null; // half a character
        }
    }

    public static long? Number(this JsonElement? element, string name) => element.Get(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt64(out var number) ? number : null;

    /// <exception cref="ModelPullException">It has no such list.</exception>
    public static IEnumerable<JsonElement?> Items(this JsonElement? element, string name, string source) => element.Get(name) is { ValueKind: JsonValueKind.Array } list
        ? list.EnumerateArray().Select(item => (JsonElement?)item)
        : throw new ModelPullException($"{source}: the answer has no list '{name}'; is it such a hub?");

    /// <exception cref="ModelPullException">It is missing.</exception>
    public static string Needed(this string? value, string name, string source) => value ?? throw new ModelPullException($"{source}: the answer holds an entry without '{name}'; is it such a hub?");

    /// <summary>A path as a URL has it.</summary>
    public static string Escaped(string path) => string.Join('/', path.Split('/').Select(Uri.EscapeDataString));

    public static Uri Below(Uri endpoint, string path) => new($"{endpoint.ToString().TrimEnd('/')}/{path}");

    /// <summary>The option, the environment's, or the hub's own.</summary>
    public static Uri EndpointOf(HubOptions options, string variable, string own)
    {
        if (options.Endpoint is { } given) return given;
        if (Environment.GetEnvironmentVariable(variable) is not { Length: > 0 } named) return new Uri(own);
        return Uri.TryCreate(named, UriKind.Absolute, out var address) && address.Scheme is "http" or "https" ? address : throw new ModelPullException($"{variable} is '{named}', which is no address; give https://HOST.");
    }
}
