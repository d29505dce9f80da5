using System.Net;

namespace Serverless.Cli.Embedded;

/// <summary>How the platform runs in this process.</summary>
internal sealed record EmbeddedOptions
{
    /// <summary>HTTP port. 0: a free one.</summary>
    public int Port { get; init; }

    /// <summary>Address of it.</summary>
    public IPAddress Host { get; init; } = IPAddress.Loopback;

    /// <summary>Port of KEDA's contract on 127.0.0.1; null: it is not served. 0: a free one.</summary>
    public int? KedaPort { get; init; }

    /// <summary>Folder of manifests; null: <c>models</c> here, or the clone's.</summary>
    public string? Manifests { get; init; }

    /// <summary>Folder of what outlives the process; null: a temporary one.</summary>
    public string? Data { get; init; }

    /// <summary>How long a pool stays up after its last work.</summary>
    public TimeSpan Cooldown { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>File of API keys; null: no key is asked for, everything is the local owner's.</summary>
    public string? Keys { get; init; }

    /// <summary>Whether standard output is an answer's: errors alone are logged then, on standard error.</summary>
    public bool Quiet { get; init; }
}
