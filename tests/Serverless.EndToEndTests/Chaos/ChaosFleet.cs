using System.Globalization;
using Serverless.Catalog;
using Serverless.EndToEndTests.Parts;
using Serverless.Events;
using Serverless.Hosting.RabbitMq.Connection;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>
/// The distributed shape with two of each, as processes over real parts: two gateways and their sidecars, two scalers, three workers of a simulated engine; a RabbitMQ, a Redis for the
/// log that may lose seconds, and one for documents that loses nothing. Every link from one to another leads through a proxy.
/// </summary>
internal sealed class ChaosFleet : IAsyncDisposable
{
    public const string Model = "sim";
    public const int Gateways = 2;

    private readonly string _manifests = Directory.CreateTempSubdirectory("serverless-models-").FullName;
    private readonly IReadOnlyDictionary<string, string> _settings;
    private readonly List<string> _folders = [];
    private readonly List<ChaosPart> _parts = [];
    private readonly List<(string Name, ToxicLink Link)> _links = [];
    private readonly List<IAsyncDisposable> _owned = [];
    private Toxiproxy? _proxy;

    private readonly IReadOnlyList<string> _resources;

    private ChaosFleet(IReadOnlyDictionary<string, string> settings, IReadOnlyList<string> resources) => (_settings, _resources) = (settings, resources);

    /// <summary>Why tests that need it are skipped; null where all of it is there.</summary>
    public static string? Absent => DaprApps.Absent ?? Toxiproxy.Absent;

    public IReadOnlyList<ChaosPart> Parts => _parts;

    public IReadOnlyList<(string Name, ToxicLink Link)> Links => _links;

    /// <summary>The gateways' addresses.</summary>
    public List<Uri> Addresses { get; } = [];

    /// <summary>Where each gateway's workers come to: the holder of a lease that it has.</summary>
    public List<Uri> Sessions { get; } = [];

    public RabbitMqServer RabbitMq { get; private set; } = null!;

    public RedisServer Log { get; private set; } = null!;

    public Neighbour Neighbour { get; private set; } = null!;

    private RedisServer Documents { get; set; } = null!;

    /// <param name="engine">Of the workers.</param>
    /// <param name="results">Who hears of results.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <param name="gateways">What gateways are set up with on top.</param>
    /// <param name="resources">Folders of components that their sidecars read beside <c>components</c>.</param>
    public static async Task<ChaosFleet> StartNewAsync(ChaosEngine engine, IEventHandler results, CancellationToken cancellationToken, IReadOnlyDictionary<string, string>? gateways = null, params IReadOnlyList<string> resources)
    {
        var fleet = new ChaosFleet(gateways ?? new Dictionary<string, string>(), resources);
        try
        {
            await fleet.StartAsync(engine, results, cancellationToken);
            return fleet;
        }
        catch
        {
            await fleet.DisposeAsync();
            throw;
        }
    }

    public ChaosPart Part(string name) => _parts.Single(part => part.Name == name);

    /// <summary>What all parts said last.</summary>
    public string Output => string.Join('\n', _parts.Select(part => $"\n--- {part.Name}\n{part.Output}").Append($"\n--- neighbour's daprd\n{Neighbour.Output}"));

    public async ValueTask DisposeAsync()
    {
        for (var index = _owned.Count - 1; index >= 0; index--) await _owned[index].DisposeAsync();
        foreach (var folder in _folders.Append(_manifests)) Directory.Delete(folder, recursive: true);
    }

    private async Task StartAsync(ChaosEngine engine, IEventHandler results, CancellationToken cancellationToken)
    {
        await File.WriteAllTextAsync(Path.Combine(_manifests, "sim.yaml"), engine.Manifest(Model), cancellationToken);
        RabbitMq = Own(await RabbitMqServer.StartNewAsync(cancellationToken));
        Log = Own(await RedisServer.StartNewAsync(cancellationToken));
        Documents = Own(await RedisServer.StartNewAsync(cancellationToken, "appendfsync", "always"));
        _proxy = Own(await Toxiproxy.StartNewAsync(cancellationToken));
        _parts.Add(new ChaosPart("rabbitmq", () => RabbitMq.Process, RabbitMq.KillAsync, RabbitMq.StartAsync));
        _parts.Add(new ChaosPart("redis", () => Log.Process, Log.KillAsync, Log.StartAsync));
        _parts.Add(new ChaosPart("documents", () => Documents.Process, Documents.KillAsync, Documents.StartAsync));

        for (var number = 0; number < Gateways; number++) await StartGatewayAsync(number, cancellationToken);
        Neighbour = Own(await Neighbour.StartNewAsync(
            Documents.Configuration, $"amqp://guest:guest@{Through(await LinkAsync("neighbour to rabbitmq", RabbitMq.Port, cancellationToken))}", results, cancellationToken));
        await BrokerSetup.DeclareAsync(new RabbitMqOptions { Url = RabbitMq.Url }, [new ModelName(Model)], cancellationToken); // else they are when they are first wanted
        await RabbitMq.SettleAsync(cancellationToken);
        for (var number = 0; number < 2; number++) await StartScalerAsync(number, cancellationToken);
        for (var number = 0; number < 3; number++) await StartWorkerAsync(number, cancellationToken);
    }

    private async Task StartGatewayAsync(int number, CancellationToken cancellationToken)
    {
        var (port, sessions, http, grpc) = (PartProcess.FreePort(), PartProcess.FreePort(), PartProcess.FreePort(), PartProcess.FreePort());
        var folder = Checkout.CopyComponents(
            Through(await LinkAsync($"daprd-{number} to documents", Documents.Port, cancellationToken)),
            $"amqp://guest:guest@{Through(await LinkAsync($"daprd-{number} to rabbitmq", RabbitMq.Port, cancellationToken))}");
        _folders.Add(folder);
        var door = await LinkAsync($"gateway-{number} to workers", sessions, cancellationToken);
        var environment = new Dictionary<string, string>(_settings, StringComparer.Ordinal)
        {
            ["Distributed__Http"] = Address(port).ToString(),
            ["Distributed__Manifests"] = _manifests,
            ["Sessions__Port"] = Text(sessions),
            ["Sessions__PublicPort"] = Text(door.Port),
            ["Sessions__Host"] = "127.0.0.1",
            ["RabbitMq__Url"] = $"amqp://guest:guest@{Through(await LinkAsync($"gateway-{number} to rabbitmq", RabbitMq.Port, cancellationToken))}",
            ["Redis__Configuration"] = Through(await LinkAsync($"gateway-{number} to redis", Log.Port, cancellationToken)),
            ["DAPR_HTTP_PORT"] = Text(http),
            ["DAPR_GRPC_PORT"] = Text(grpc),
        };
        Addresses.Add(Address(port));
        Sessions.Add(Address(door.Port));
        var app = StartAppAsync($"gateway-{number}", "Serverless.Gateway", environment, port, cancellationToken);
        var sidecar = Own(await Daprd.StartNewAsync(
            new DaprdSettings
            {
                AppId = "gateway", Folder = folder, AppPort = port, HttpPort = http, GrpcPort = grpc,
                Arguments = ["--resources-path", "components", .. _resources.SelectMany(folder => new[] { "--resources-path", folder }), "--config", "components/laptop/configuration.yaml", "--max-body-size", "16Mi"],
            },
            cancellationToken));
        await app;
        await sidecar.ServesAppAsync(cancellationToken);
        _parts.Add(new ChaosPart($"daprd-{number}", () => sidecar.Process, sidecar.KillAsync, sidecar.StartAsync));
    }

    private async Task StartScalerAsync(int number, CancellationToken cancellationToken)
    {
        var port = PartProcess.FreePort();
        await StartAppAsync(
            $"scaler-{number}",
            "Serverless.Scaler",
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["Distributed__Http"] = Address(port).ToString(),
                ["Scaler__Keda"] = Address(PartProcess.FreePort()).ToString(),
                ["Redis__Configuration"] = Through(await LinkAsync($"scaler-{number} to redis", Log.Port, cancellationToken)),
                ["RabbitMq__Url"] = $"amqp://guest:guest@{Through(await LinkAsync($"scaler-{number} to rabbitmq", RabbitMq.Port, cancellationToken))}",
            },
            port,
            cancellationToken);
    }

    private async Task StartWorkerAsync(int number, CancellationToken cancellationToken)
    {
        var port = PartProcess.FreePort();
        await StartAppAsync(
            $"worker-{number}",
            "Serverless.Worker",
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["Distributed__Http"] = Address(port).ToString(),
                ["Worker__Pool"] = $"{Model}-cpu",
                ["Redis__Configuration"] = Through(await LinkAsync($"worker-{number} to redis", Log.Port, cancellationToken)),
            },
            port,
            cancellationToken);
    }

    private async Task StartAppAsync(string name, string program, IReadOnlyDictionary<string, string> environment, int port, CancellationToken cancellationToken)
    {
        var app = Own(new ChaosApp(name, program, environment, new Uri(Address(port), "/readyz")));
        _parts.Add(new ChaosPart(name, () => app.Process, app.KillAsync, app.StartAsync));
        await app.StartAsync(cancellationToken);
    }

    private async Task<ToxicLink> LinkAsync(string name, int port, CancellationToken cancellationToken)
    {
        var link = await _proxy!.LinkAsync(name.Replace(' ', '-'), port, cancellationToken);
        _links.Add((name, link));
        return link;
    }

    private T Own<T>(T part)
        where T : IAsyncDisposable
    {
        _owned.Add(part);
        return part;
    }

    private static string Through(ToxicLink link) => $"127.0.0.1:{Text(link.Port)}";

    private static Uri Address(int port) => new(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
