using System.Net;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Telemetry;

/// <summary>Who may read the metrics of a worker or a scaler.</summary>
public sealed class MetricsOptions
{
    public const string Section = "Metrics";

    /// <summary>A listener of its own for <c>/metrics</c>, which whoever reaches it may read: names of models, rates, load. <c>http://ADDRESS:PORT</c> with an address of this machine, or 0.0.0.0 for all. Default: none; metrics are read on this machine alone.</summary>
    public Uri? Url { get; set; }

    internal sealed class Validator : IValidateOptions<MetricsOptions>
    {
        public ValidateOptionsResult Validate(string? name, MetricsOptions options) =>
            options.Url is not { } url || (url.IsAbsoluteUri && url.Scheme == Uri.UriSchemeHttp && IPAddress.TryParse(url.DnsSafeHost, out _))
                ? ValidateOptionsResult.Success
                : ValidateOptionsResult.Fail($"{Section}:{nameof(Url)} is '{options.Url}'; it takes http://ADDRESS:PORT with an IP address of this machine, or 0.0.0.0 for all.");
    }
}
