using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Distributed;

/// <summary>Says once, at the start, that no key is asked for.</summary>
internal sealed partial class OpenGatewayWarning(IOptions<DistributedOptions> options, ILogger<OpenGatewayWarning> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        LogOpen(options.Value.Http);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Warning, "No API keys are set up: {Http} serves callers of this machine alone, as organization 'local', or everyone who reaches it where Gateway:Access:AllowAnonymous is set. Name a file in Keys:File or a secret in Keys:Secret.")]
    private partial void LogOpen(Uri http);
}
