using System.Net;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Hosting.Webhooks;

namespace Serverless.Gateway.Callbacks;

/// <summary>Where callbacks may go, and what they are signed with. Thread-safe.</summary>
internal sealed class CallbackPolicy(IOptions<CallbackOptions> options)
{
    private const int LongestUrl = 2048;

    /// <summary>Whether any may go anywhere.</summary>
    public bool IsOn => options.Value.AreOn;

    /// <summary>The address of a callback that an organization asks for.</summary>
    /// <exception cref="ServingException">It may not go there.</exception>
    public Uri Read(string text, string organization, string param)
    {
        if (text.Length > LongestUrl || !Uri.TryCreate(text, UriKind.Absolute, out var url)) throw Refused($"'{param}' must be an absolute URL of at most {LongestUrl} characters.", param);
        return WhyNot(url, organization) is { } why ? throw Refused($"'{param}' cannot be used: {why}.", param) : url;
    }

    /// <summary>Why a callback may not go there now; null: it may.</summary>
    public string? WhyNot(Uri url, string organization)
    {
        var set = options.Value;
        if (!set.AreOn) return $"this gateway makes no callbacks ({CallbackOptions.Section}:{nameof(set.AllowedHosts)})";
        if (url.Scheme != Uri.UriSchemeHttps && !(set.AllowHttp && url.Scheme == Uri.UriSchemeHttp)) return "it must begin with https://";
        if (url.UserInfo.Length > 0 || url.Fragment.Length > 0) return "it has a user or a fragment; leave them out";
        if (!set.AllowedHosts!.Any(pattern => Matches(pattern!, url.IdnHost))) return $"its host is not among those that may be called ({CallbackOptions.Section}:{nameof(set.AllowedHosts)})";
        if (!set.AllowPrivateAddresses && IPAddress.TryParse(url.IdnHost, out var address) && !PublicAddresses.Contains(address)) return $"{address} is no public address ({CallbackOptions.Section}:{nameof(set.AllowPrivateAddresses)})";
        return SecretsOf(organization).Count == 0 ? $"organization '{organization}' has no signing secret ({CallbackOptions.Section}:{nameof(set.Secrets)}:{organization})" : null;
    }

    /// <summary>What callbacks of that organization are signed with.</summary>
    public IReadOnlyList<byte[]> SecretsOf(string organization)
    {
        var secrets = options.Value.Secrets;
        return WebhookSignature.ReadSecrets(secrets?.GetValueOrDefault(organization) ?? secrets?.GetValueOrDefault("*")) ?? [];
    }

    private static bool Matches(string pattern, string host) =>
        pattern == "*"
        || string.Equals(pattern, host, StringComparison.OrdinalIgnoreCase)
        || (pattern.StartsWith("*.", StringComparison.Ordinal) && host.EndsWith(pattern[1..], StringComparison.OrdinalIgnoreCase));

    private static ServingException Refused(string message, string param) => new(new ServingFault(ServingError.InvalidRequest, message, param));
}
