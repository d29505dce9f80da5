using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Options;
using Serverless.Scaler.Listening;

namespace Serverless.Scaler.Distributed;

/// <summary>The scaler's own options.</summary>
public sealed class ScalerOptions
{
    public const string Section = "Scaler";

    /// <summary>Where KEDA calls: an address of this machine and a port. Default: <c>http://0.0.0.0:9090</c>.</summary>
    [Required]
    public Uri Keda { get; set; } = new("http://0.0.0.0:9090");

    /// <summary>TLS, and mutual TLS, towards KEDA. Default: none.</summary>
    public ScalerTlsOptions? Tls { get; set; }

    /// <summary>Whether the broker is asked about models whose dispatchers are silent (section <c>RabbitMq</c>). Off, the plan holds meanwhile. Default: on.</summary>
    public bool AskBroker { get; set; } = true;

    /// <summary>Most replicas of an accelerator class over all models, by class: <c>Scaler:Budgets:a10=8</c>. What is wanted beyond it is shared out. Default: none is bounded.</summary>
    public Dictionary<string, int>? Budgets { get; set; }

    internal sealed class Validator : IValidateOptions<ScalerOptions>
    {
        public ValidateOptionsResult Validate(string? name, ScalerOptions options) =>
            options.Budgets?.FirstOrDefault(budget => budget.Value < 0) is { Key: { } bounded, Value: var most }
                ? ValidateOptionsResult.Fail($"{Section}:{nameof(Budgets)}:{bounded} is {most}; it takes a number of replicas from 0.")
                : options.Keda is { IsAbsoluteUri: true } keda && keda.Scheme == Uri.UriSchemeHttp && System.Net.IPAddress.TryParse(keda.DnsSafeHost, out _)
                ? ValidateOptionsResult.Success
                : ValidateOptionsResult.Fail($"{Section}:{nameof(Keda)} is '{options.Keda}'; it takes http://ADDRESS:PORT with an IP address of this machine, or 0.0.0.0 for all.");
    }
}
