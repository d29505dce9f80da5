using System.Net;
using Microsoft.Extensions.Options;
using Serverless.Scaler.Listening;

namespace Serverless.Scaler.Distributed;

/// <summary>The scaler's own options.</summary>
public sealed class ScalerOptions
{
    public const string Section = "Scaler";

    /// <summary>
    /// Where KEDA calls: an address of this machine and a port. Default: <c>http://0.0.0.0:9090</c> with <see cref="ScalerTlsOptions.ClientCaFile"/> or <see cref="AllowInsecure"/>, else
    /// <c>http://127.0.0.1:9090</c>.
    /// </summary>
    public Uri? Keda { get; set; }

    /// <summary>
    /// Whether callers of other machines may come without a client certificate. Whoever reaches the port can then read what is served and hold streams: only for a network that nobody
    /// else is in. The start warns. Default: no.
    /// </summary>
    public bool AllowInsecure { get; set; }

    /// <summary>TLS, and mutual TLS, towards KEDA. Default: none.</summary>
    public ScalerTlsOptions? Tls { get; set; }

    /// <summary>Whether the broker is asked about models whose dispatchers are silent (section <c>RabbitMq</c>). Off, the plan holds meanwhile. Default: on.</summary>
    public bool AskBroker { get; set; } = true;

    /// <summary>Most replicas of an accelerator class over all models, by class: <c>Scaler:Budgets:a10=8</c>. What is wanted beyond it is shared out. Default: none is bounded.</summary>
    public Dictionary<string, int>? Budgets { get; set; }

    /// <summary>Whether other machines may call.</summary>
    internal bool IsOpen => AllowInsecure || !string.IsNullOrEmpty(Tls?.ClientCaFile);

    internal IPEndPoint Address => Keda is { } keda ? new(IPAddress.Parse(keda.DnsSafeHost), keda.Port) : new(IsOpen ? IPAddress.Any : IPAddress.Loopback, 9090);

    internal sealed class Validator : IValidateOptions<ScalerOptions>
    {
        public ValidateOptionsResult Validate(string? name, ScalerOptions options) =>
            options.Budgets?.FirstOrDefault(budget => budget.Value < 0) is { Key: { } bounded, Value: var most }
                ? ValidateOptionsResult.Fail($"{Section}:{nameof(Budgets)}:{bounded} is {most}; it takes a number of replicas from 0.")
                : options.Keda is not { } keda ? ValidateOptionsResult.Success
                : keda.IsAbsoluteUri && keda.Scheme == Uri.UriSchemeHttp && IPAddress.TryParse(keda.DnsSafeHost, out var address)
                ? options.IsOpen || IPAddress.IsLoopback(address)
                    ? ValidateOptionsResult.Success
                    : ValidateOptionsResult.Fail($"{Section}:{nameof(Keda)} is '{keda}', but without client certificates the scaler is open to this machine alone. Set {Section}:{nameof(Tls)} with {nameof(ScalerTlsOptions.ClientCaFile)}, or {Section}:{nameof(AllowInsecure)}=true where nobody else is in the network.")
                : ValidateOptionsResult.Fail($"{Section}:{nameof(Keda)} is '{options.Keda}'; it takes http://ADDRESS:PORT with an IP address of this machine, or 0.0.0.0 for all.");
    }
}
