using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Events;
using Serverless.Hosting.Dapr;

namespace Serverless.EndToEndTests.Parts;

/// <summary>Another service, of somebody else, with a sidecar of its own: its components are ours with its app id in their scopes, its subscription to the results its own.</summary>
internal sealed class Neighbour : IAsyncDisposable
{
    private const string App = "neighbour";

    private readonly WebApplication _app;
    private readonly string _folder;
    private Daprd? _sidecar;

    private Neighbour(WebApplication app, string folder) => (_app, _folder) = (app, folder);

    /// <summary>What its sidecar said last.</summary>
    public string Output => _sidecar!.Process.Output;

    public IEventBus Bus => _app.Services.GetRequiredService<IEventBus>();

    /// <summary>A running one; <paramref name="results"/> is given the results.</summary>
    public static async Task<Neighbour> StartNewAsync(string redis, string rabbitMq, IEventHandler results, CancellationToken cancellationToken)
    {
        var folder = Checkout.CopyComponents(redis, rabbitMq);
        await WriteComponentsAsync(folder, results.Topics, cancellationToken);
        var (http, grpc, port) = (PartProcess.FreePort(), PartProcess.FreePort(), PartProcess.FreePort());
        var neighbour = new Neighbour(Build(http, grpc, port, results), folder);
        try
        {
            await neighbour._app.StartAsync(cancellationToken);
            neighbour._sidecar = await Daprd.StartNewAsync(
                new DaprdSettings
                {
                    AppId = App, Folder = folder, AppPort = port, HttpPort = http, GrpcPort = grpc,
                    Arguments = ["--resources-path", "components", "--config", "components/laptop/configuration.yaml"],
                },
                cancellationToken);
            await neighbour._sidecar.ServesAppAsync(cancellationToken);
            return neighbour;
        }
        catch
        {
            await neighbour.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_sidecar is not null) await _sidecar.DisposeAsync();
        await _app.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static async Task WriteComponentsAsync(string folder, IReadOnlyList<string> topics, CancellationToken cancellationToken)
    {
        foreach (var file in Directory.GetFiles(Path.Combine(folder, "components"), "*.yaml"))
            await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file, cancellationToken)).Replace("scopes: [gateway, worker, scaler]", $"scopes: [{App}]", StringComparison.Ordinal).Replace("scopes: [gateway]", $"scopes: [{App}]", StringComparison.Ordinal), cancellationToken);
        await File.WriteAllTextAsync(Path.Combine(folder, "components", "subscriptions.yaml"), string.Join("\n---\n", topics.Select(Subscription)), cancellationToken);

        // A component for each: its own connection, and one delivery at a time where order counts.
        var shipped = (await File.ReadAllTextAsync(Path.Combine(folder, "components", "pubsub.yaml"), cancellationToken)).Split("\n---\n").Single(part => part.Contains($"name: {DaprNames.PubSubResults}\n", StringComparison.Ordinal));
        string[] own = [.. topics.Where(topic => topic != EventTopics.Results).Select(topic => shipped.Replace($"name: {DaprNames.PubSubResults}\n", $"name: {Component(topic)}\n", StringComparison.Ordinal).Replace("    - name: exchangeKind\n", "    - name: concurrency\n      value: single\n    - name: exchangeKind\n", StringComparison.Ordinal))];
        if (own.Length > 0) await File.WriteAllTextAsync(Path.Combine(folder, "components", "own.yaml"), string.Join("\n---\n", own), cancellationToken);
    }

    private static string Component(string topic) => topic == EventTopics.Results ? DaprNames.PubSubResults : $"pubsub-{topic.Replace('.', '-')}";

    private static string Subscription(string topic) => $$"""
        apiVersion: dapr.io/v2alpha1
        kind: Subscription
        metadata: {name: {{topic.Replace('.', '-')}} }
        spec:
          pubsubname: {{Component(topic)}}
          topic: {{topic}}
          routes: {default: /events/{{topic}} }
          metadata: {queueType: quorum}
        scopes: [{{App}}]
        """;

    private static WebApplication Build(int sidecarHttp, int sidecarGrpc, int port, IEventHandler results)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DAPR_HTTP_PORT"] = sidecarHttp.ToString(CultureInfo.InvariantCulture),
            ["DAPR_GRPC_PORT"] = sidecarGrpc.ToString(CultureInfo.InvariantCulture),
        });
        builder.WebHost.UseUrls(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
        builder.Services.AddSingleton(results).AddDaprEvents();
        var app = builder.Build();
        app.MapDaprEvents();
        return app;
    }
}
