using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Serverless.Hosting.Telemetry;

namespace Serverless.Hosting.Distributed;

/// <summary>What the processes of the distributed shape have in common: options that are all checked before anything starts, a listener, a log, and how they stop.</summary>
public static class DistributedHost
{
    /// <summary>Prepares a process that is called after its <paramref name="part"/> of the platform: what it is made of is added by the caller.</summary>
    /// <remarks>
    /// Stopping: whoever takes work in stops at once and side by side, because a process that drains must not keep its leases meanwhile; Redis, the broker and the sidecar's client are
    /// closed with the container, after everything that uses them.
    /// </remarks>
    public static WebApplicationBuilder AddDistributedHost(this WebApplicationBuilder builder, string part)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddCheckedOptions<DistributedOptions, DistributedOptions.Validator, DistributedOptions.ValueValidator>(DistributedOptions.Section);
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddOptions<HostOptions>().Configure<IOptions<DistributedOptions>>((host, options) =>
        {
            host.ServicesStopConcurrently = true;
            if (host.ShutdownTimeout < options.Value.ShutdownTimeout) host.ShutdownTimeout = options.Value.ShutdownTimeout;
        });
        builder.Services.AddOptions<KestrelServerOptions>().Configure<IOptions<DistributedOptions>>((kestrel, options) =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(IPAddress.Parse(options.Value.Http.DnsSafeHost), options.Value.Http.Port, endpoint => endpoint.Protocols = HttpProtocols.Http1);
        });
        builder.WebHost.UseKestrelCore();
        builder.Host.UseDefaultServiceProvider(container => (container.ValidateScopes, container.ValidateOnBuild) = (true, true));
        builder.Services.AddSingleton(new ProcessIdentity($"serverless-{part}")).AddHostedService<ProcessNews>();
        return builder.AddServerlessLogging();
    }

    /// <summary>Builds and runs a process to its end. What stops its start is said in a line each, not in a stack trace.</summary>
    /// <returns>The process's exit code: 0 when it was told to stop, 1 when it did not start.</returns>
    public static async Task<int> RunAsync(Func<WebApplication> build)
    {
        ArgumentNullException.ThrowIfNull(build);
        try
        {
            await using var app = build();
            await app.RunAsync();
            return 0;
        }
        catch (OperationCanceledException)
        {
            return 0; // told to stop before its start was over
        }
        catch (Exception exception) when (Faults(exception) is { Count: > 0 } faults)
        {
            foreach (var fault in faults) await Console.Error.WriteLineAsync(fault);
            return 1;
        }
    }

    /// <summary>Checks all options there are, so that one start tells every fault: building the host already takes some of them, and would stop at the first.</summary>
    /// <exception cref="OptionsValidationException">One section is faulty.</exception>
    /// <exception cref="AggregateException">Several are.</exception>
    public static WebApplicationBuilder CheckOptions(this WebApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);

        // A container for this alone, let go with all that it made (options take telemetry along, which would count everything twice), but for the configuration: that is the host's.
        IServiceCollection services = new ServiceCollection();
        foreach (var service in builder.Services) services.Add(service);
        services.AddSingleton<IConfiguration>(builder.Configuration);
        using var provider = services.BuildServiceProvider();
        provider.GetService<IStartupValidator>()?.Validate();
        return builder;
    }

    private static IReadOnlyList<string> Faults(Exception exception) => exception switch
    {
        OptionsValidationException faulty => [.. faulty.Failures],
        AggregateException several when several.InnerExceptions.All(inner => inner is OptionsValidationException) => [.. several.InnerExceptions.SelectMany(Faults)],
        (InvalidOperationException and not ObjectDisposedException) or IOException => [exception.Message],
        _ => [],
    };
}
