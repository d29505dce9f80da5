using System.Text.Json;
using Serverless.Engines;

namespace Serverless.Hosting.Loading;

/// <summary>What hubs' APIs have in common: lists that must be there, paths in addresses, where they are.</summary>
internal static class HubAnswers
{
    /// <exception cref="ModelPullException">It has no such list.</exception>
    public static IEnumerable<JsonElement> Items(this JsonElement element, string name, string source) => element.Get(name) is { ValueKind: JsonValueKind.Array } list
        ? list.EnumerateArray()
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
        if (Variable(variable) is not { } named) return new Uri(own);
        return Uri.TryCreate(named, UriKind.Absolute, out var address) && address.Scheme is "http" or "https" ? address : throw new ModelPullException($"{variable} is '{named}', which is no address; give https://HOST.");
    }

    /// <summary>A variable of the environment; null: it is not set, or empty.</summary>
    public static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
