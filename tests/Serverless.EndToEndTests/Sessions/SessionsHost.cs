using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.Sessions;
using Serverless.Leases;

namespace Serverless.EndToEndTests.Sessions;

/// <summary>The dispatchers' end of gRPC sessions on real Kestrel, and a connector to it; leases in memory.</summary>
internal sealed class SessionsHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private SessionsHost(WebApplication app, WorkerSessionOptions options)
    {
        (_app, Options) = (app, options);
        Connector = NewConnector(options);
    }

    public MemoryLeases Leases { get; } = new(TimeProvider.System);

    public WorkerSessionOptions Options { get; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    public GrpcWorkerSessions Sessions => _app.Services.GetRequiredService<GrpcWorkerSessions>();

    public GrpcDispatcherConnector Connector { get; }

    public static async Task<SessionsHost> StartAsync(Action<WorkerSessionOptions>? configure = null)
    {
        var options = new WorkerSessionOptions { Host = "localhost", Port = PartProcess.FreePort(), PingAfter = TimeSpan.FromSeconds(1), PingTimeout = TimeSpan.FromSeconds(1) };
        configure?.Invoke(options);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton<ICatalogSource>(TestCatalog.Of(TestRequests.Model));
        builder.Services.AddGrpcWorkerSessions();
        builder.Services.AddSingleton(Microsoft.Extensions.Options.Options.Create(options));
        var app = builder.Build();
        app.MapWorkerSessions();
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new SessionsHost(app, options);
    }

    public GrpcDispatcherConnector NewConnector(WorkerSessionOptions options) => new(Leases, Microsoft.Extensions.Options.Options.Create(options), _app.Services.GetRequiredService<SessionMetrics>(), Time, NullLoggerFactory.Instance);

    /// <summary>Writes who dispatches the test's model.</summary>
    public async Task LeaseAsync(string? address = null)
    {
        var name = LeaseNames.Dispatcher(TestRequests.Model);
        if (await Leases.ReadAsync(name, CancellationToken.None) is { } held) await Leases.ReleaseAsync(held, CancellationToken.None);
        await Leases.AcquireAsync(name, address ?? SessionServices.SessionAddress(Options), TimeSpan.FromHours(1), CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        Connector.Dispose();
        await _app.StopAsync(new CancellationToken(canceled: true));
        await _app.DisposeAsync();
    }
}
