using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;

namespace Serverless.Scaler.Distributed;

/// <summary>The scaler's own options.</summary>
public sealed class ScalerOptions
{
    public const string Section = "Scaler";

    /// <summary>Where KEDA calls, gRPC without TLS: an address of this machine and a port. Default: <c>http://0.0.0.0:9090</c>.</summary>
    [Required]
    public Uri Keda { get; set; } = new("http://0.0.0.0:9090");

    internal sealed class Validator : IValidateOptions<ScalerOptions>
    {
        public ValidateOptionsResult Validate(string? name, ScalerOptions options) =>
            options.Keda is { IsAbsoluteUri: true } keda && keda.Scheme == Uri.UriSchemeHttp && System.Net.IPAddress.TryParse(keda.DnsSafeHost, out _)
                ? ValidateOptionsResult.Success
                : ValidateOptionsResult.Fail($"{Section}:{nameof(Keda)} is '{options.Keda}'; it takes http://ADDRESS:PORT with an IP address of this machine, or 0.0.0.0 for all.");
    }
}
