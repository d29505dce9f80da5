using System.ComponentModel.DataAnnotations;
using System.Net;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Tls;

namespace Serverless.Hosting.Sessions;

/// <summary>How workers and dispatchers reach each other. The same section on both sides.</summary>
public sealed partial class WorkerSessionOptions
{
    public const string Section = "Sessions";

    /// <summary>A gateway's port for its workers: on all addresses of the machine with TLS or <see cref="AllowInsecure"/>, else on 127.0.0.1 alone. Default: 8090.</summary>
    [Range(0, 65535)]
    public int Port { get; set; } = 8090;

    /// <summary>The port under which workers reach this gateway, where something before it has another. Default: its own.</summary>
    [Range(1, 65535)]
    public int? PublicPort { get; set; }

    /// <summary>How workers reach this gateway: a host name or address of this machine or pod. Default: the machine's name; 127.0.0.1 where the port is open to this machine alone.</summary>
    public string? Host { get; set; }

    /// <summary>After so long without a word the other side is asked for a sign of life. Raising it delays the moment a lost part is noticed. Default: 5 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:01:00")]
    public TimeSpan PingAfter { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long that sign may take; then the session is lost. Default: 5 seconds.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:01:00")]
    public TimeSpan PingTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>PEM file of this side's certificate. With it, and the other two, sessions are encrypted and both sides prove who they are. Default: none.</summary>
    public string? Certificate { get; set; }

    /// <summary>PEM file of the certificate's private key. Default: none.</summary>
    public string? Key { get; set; }

    /// <summary>PEM file of the authority that signed both sides' certificates; no other is trusted. Default: none.</summary>
    public string? Authority { get; set; }

    /// <summary>The name that workers expect in a gateway's certificate. Default: the host they connect to.</summary>
    public string? ServerName { get; set; }

    /// <summary>
    /// Whether workers of other machines may come without TLS. Whoever reaches the port can then pose as a worker and receive prompts: only for a network that nobody else is in. The
    /// start warns. Default: no.
    /// </summary>
    public bool AllowInsecure { get; set; }

    /// <summary>Whether sessions are encrypted.</summary>
    internal bool UsesTls => Certificate is not null || Key is not null || Authority is not null;

    /// <summary>Whether other machines reach the port.</summary>
    internal bool IsOpen => UsesTls || AllowInsecure;

    internal TlsFiles Files => new(Certificate!, Key!, Authority);

    private static bool IsLoopback(string host) => host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<WorkerSessionOptions>;

    internal sealed class TlsValidator : IValidateOptions<WorkerSessionOptions>
    {
        public ValidateOptionsResult Validate(string? name, WorkerSessionOptions options)
        {
            if (!options.IsOpen && options.Host is { Length: > 0 } host && !IsLoopback(host))
            {
                return ValidateOptionsResult.Fail(
                    $"{Section}:{nameof(Host)} is '{host}', but without TLS worker sessions are open to this machine alone. Set {nameof(Certificate)}, {nameof(Key)} and {nameof(Authority)}, or {Section}:{nameof(AllowInsecure)}=true where nobody else is in the network.");
            }

            if (!options.UsesTls) return ValidateOptionsResult.Skip;

            foreach (var (setting, file) in new[] { (nameof(Certificate), options.Certificate), (nameof(Key), options.Key), (nameof(Authority), options.Authority) })
            {
                if (file is null) return ValidateOptionsResult.Fail($"{Section}:{setting} is missing; encrypted sessions need {nameof(Certificate)}, {nameof(Key)} and {nameof(Authority)}.");
                if (!File.Exists(file)) return ValidateOptionsResult.Fail($"{Section}:{setting} is '{file}', which does not exist.");
            }

            return ValidateOptionsResult.Success;
        }
    }
}
