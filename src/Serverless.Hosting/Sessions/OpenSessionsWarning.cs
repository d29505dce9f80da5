using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Sessions;

/// <summary>Says once, at the start, that workers need not prove who they are.</summary>
internal sealed partial class OpenSessionsWarning(IOptions<WorkerSessionOptions> options, ILogger<OpenSessionsWarning> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value is { UsesTls: false, AllowInsecure: true }) LogOpen(options.Value.Port);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Warning, "Worker sessions on port {Port} are open without TLS (Sessions:AllowInsecure): whoever reaches it can pose as a worker and receive prompts.")]
    private partial void LogOpen(int port);
}
