using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Webhooks;

namespace Serverless.Gateway.Callbacks;

/// <summary>Calls to clients when what an id promised has ended. Off until hosts are allowed.</summary>
public sealed class CallbackOptions
{
    public const string Section = "Gateway:Callbacks";

    /// <summary>Hosts that may be called: a name, <c>*.</c> and a domain for all below it, or <c>*</c> for any. Default: none, so callbacks are refused.</summary>
    public string?[]? AllowedHosts { get; set; }

    /// <summary>Signing secret of each organization, <c>whsec_…</c>; two with a space between while one replaces the other. <c>*</c> is for all that have none of their own. Default: none.</summary>
    public Dictionary<string, string>? Secrets { get; set; }

    /// <summary>Whether addresses may be called that are not public: private ones, this machine's, a cloud's metadata. Default: no.</summary>
    public bool AllowPrivateAddresses { get; set; }

    /// <summary>Whether callbacks may go without TLS. Default: no.</summary>
    public bool AllowHttp { get; set; }

    /// <summary>How long one call may take. Default: 15 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:01:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How long it is tried; then it has failed, and can be asked for again. Default: 1 day.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "7.00:00:00")]
    public TimeSpan GiveUpAfter { get; set; } = TimeSpan.FromDays(1);

    /// <summary>Calls that one gateway makes at once; one organization takes a quarter of them. Default: 32.</summary>
    [Range(4, 1000)]
    public int MaxAtOnce { get; set; } = 32;

    /// <summary>Bytes of the largest body; of a longer one the response is left out, and can be asked for by the id. Default: 256 KiB.</summary>
    [Range(4096, 16777216)]
    public int MaxBodyBytes { get; set; } = 256 * 1024;

    /// <summary>Whether any can be made.</summary>
    internal bool AreOn => AllowedHosts is { Length: > 0 };

    internal sealed class ValueValidator : IValidateOptions<CallbackOptions>
    {
        public ValidateOptionsResult Validate(string? name, CallbackOptions options)
        {
            ArgumentNullException.ThrowIfNull(options);
            foreach (var host in options.AllowedHosts ?? [])
            {
                var plain = host?.StartsWith("*.", StringComparison.Ordinal) == true ? host[2..] : host;
                if (host != "*" && Uri.CheckHostName(plain) == UriHostNameType.Unknown)
                    return ValidateOptionsResult.Fail($"{Section}:{nameof(AllowedHosts)} has '{host}'; it must be a host name such as 'hooks.example.com', '*.example.com' for all below one, or '*' for any.");
            }

            foreach (var (organization, secret) in options.Secrets ?? [])
            {
                if (WebhookSignature.ReadSecrets(secret) is null)
                    return ValidateOptionsResult.Fail($"{Section}:{nameof(Secrets)}:{organization} is no signing secret; it must be '{WebhookSignature.Prefix}' and 24 to 64 random bytes in base64: echo \"{WebhookSignature.Prefix}$(head -c 32 /dev/urandom | base64)\".");
            }

            return ValidateOptionsResult.Success;
        }
    }
}

/// <summary>The ranges.</summary>
[OptionsValidator]
internal sealed partial class CallbackRanges : IValidateOptions<CallbackOptions>;
