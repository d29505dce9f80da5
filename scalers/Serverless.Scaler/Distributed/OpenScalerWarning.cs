using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Serverless.Scaler.Distributed;

/// <summary>Says once, at the start, that callers need not prove who they are.</summary>
internal sealed partial class OpenScalerWarning(IOptions<ScalerOptions> options, ILogger<OpenScalerWarning> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value.AllowInsecure && string.IsNullOrEmpty(options.Value.Tls?.ClientCaFile)) LogOpen($"{options.Value.Address}");
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Warning, "The scaler at {Address} asks for no client certificate (Scaler:AllowInsecure): whoever reaches it can read what is served and hold streams.")]
    private partial void LogOpen(string address);
}
