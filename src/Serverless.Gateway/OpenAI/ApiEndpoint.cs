using System.Diagnostics.CodeAnalysis;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>One API of the gateway: all that is known of it by name. A new one is a row of <see cref="All"/>; nobody asks elsewhere which one a request is of.</summary>
/// <param name="Name">As it travels.</param>
/// <param name="IdPrefix">What its ids begin with.</param>
/// <param name="Operation"><c>gen_ai.operation.name</c> of its metrics.</param>
/// <param name="Format">How its answers are written.</param>
internal sealed record ApiEndpoint(EndpointName Name, string IdPrefix, string Operation, IChoiceFormat Format)
{
    /// <summary>Stands in metrics for every one that is none of ours.</summary>
    public const string OtherOperation = "_other";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<ApiEndpoint> All { get; } =
    [
        new(EndpointName.ChatCompletions, "chatcmpl-", "chat", new ChatFormat()),
        new(EndpointName.Completions, "cmpl-", "text_completion", new CompletionFormat()),
    ];

    /// <summary>Where it is asked for; <c>/v1</c> may be left out.</summary>
    public string Path => PathOf(Name);

    /// <summary>A fresh id of it.</summary>
    public RequestId NewId() => RequestId.New(IdPrefix);

    public static bool TryFind(EndpointName name, [NotNullWhen(true)] out ApiEndpoint? endpoint)
    {
        endpoint = null;
        for (var i = 0; i < All.Count && endpoint is null; i++)
        {
            if (All[i].Name == name) endpoint = All[i];
        }

        return endpoint is not null;
    }

    /// <summary>By its path, or null.</summary>
    public static ApiEndpoint? ByPath(string? path) => All.FirstOrDefault(row => row.Path == path);

    /// <summary>The path of one that may be none of ours.</summary>
    public static string PathOf(EndpointName name) => "/v1/" + name.Value;
}
