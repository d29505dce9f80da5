using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Telemetry;

namespace Serverless.Hosting.Distributed;

/// <summary>Tells that a process starts, serves, stops and has stopped; what the start waits for is told by whoever waits.</summary>
internal sealed partial class ProcessNews(ProcessIdentity process, IServer server, IOptions<HostOptions> host, ILogger<ProcessNews> logger) : IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken)
    {
        LogStarting(process.Name, ProcessIdentity.Version);
        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        LogStarted(process.Name, string.Join(", ", server.Features.Get<IServerAddressesFeature>()?.Addresses ?? []));
        return Task.CompletedTask;
    }

    public Task StoppingAsync(CancellationToken cancellationToken)
    {
        LogStopping(process.Name, host.Value.ShutdownTimeout.TotalSeconds);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken)
    {
        LogStopped(process.Name);
        return Task.CompletedTask;
    }

    [LoggerMessage(LogLevel.Information, "{Process} {Version} starts")]
    private partial void LogStarting(string process, string version);

    [LoggerMessage(LogLevel.Information, "{Process} listens on {Addresses}")]
    private partial void LogStarted(string process, string addresses);

    [LoggerMessage(LogLevel.Information, "{Process} was told to stop; what runs has up to {Seconds:0} s")]
    private partial void LogStopping(string process, double seconds);

    [LoggerMessage(LogLevel.Information, "{Process} has stopped")]
    private partial void LogStopped(string process);
}
