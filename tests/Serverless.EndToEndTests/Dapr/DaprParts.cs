using Grpc.Net.Client;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests.Dapr;

/// <summary>For all tests of a class: a Redis, a sidecar over the shipped components, and our side of it.</summary>
public sealed class DaprParts : IAsyncLifetime
{
    private RedisServer? _redis;
    private Daprd? _sidecar;
    private ServiceProvider? _services;

    public static string? Absent => Daprd.Absent ?? RedisServer.Absent;

    internal IServiceProvider Services => _services!;

    internal RedisServer Redis => _redis!;

    internal Daprd Sidecar => _sidecar!;

    public async ValueTask InitializeAsync()
    {
        if (Absent is not null) return;

        _redis = await RedisServer.StartNewAsync(CancellationToken.None, "appendfsync", "always");
        var folder = Checkout.CopyComponents(_redis.Configuration, "amqp://guest:guest@127.0.0.1:1");
        File.Delete(Path.Combine(folder, "components", "pubsub.yaml"));
        _sidecar = await Daprd.StartNewAsync(new DaprdSettings { AppId = "gateway", Folder = folder, Arguments = ["--resources-path", "components", "--config", "components/laptop/configuration.yaml"] }, CancellationToken.None);
        _services = ServicesOf(_sidecar);
    }

    public async ValueTask DisposeAsync()
    {
        if (_services is not null) await _services.DisposeAsync();
        if (_sidecar is not null) await _sidecar.DisposeAsync();
        if (_redis is not null) await _redis.DisposeAsync();
    }

    /// <summary>What an app gets that is told of this sidecar.</summary>
    internal static ServiceProvider ServicesOf(Daprd sidecar, params (string Key, string Value)[] settings) => ServicesOf(sidecar, new ServiceCollection(), settings);

    /// <summary>The same, but every call to the sidecar passes <paramref name="handler"/>.</summary>
    internal static ServiceProvider ServicesThrough(Daprd sidecar, DelegatingHandler handler)
    {
        var services = new ServiceCollection();
        handler.InnerHandler = new SocketsHttpHandler();
        services.AddDaprClient((_, client) => client.UseGrpcChannelOptions(new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true }));
        return ServicesOf(sidecar, services, []);
    }

    private static ServiceProvider ServicesOf(Daprd sidecar, ServiceCollection services, (string Key, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(
            [new("DAPR_GRPC_PORT", $"{sidecar.GrpcPort}"), new("DAPR_HTTP_PORT", $"{sidecar.HttpPort}"), .. settings.Select(setting => new KeyValuePair<string, string?>(setting.Key, setting.Value))]).Build();
        return services.AddSingleton<IConfiguration>(configuration).AddLogging().AddDaprDocuments().AddDaprEvents().AddDaprSecrets().BuildServiceProvider();
    }
}
