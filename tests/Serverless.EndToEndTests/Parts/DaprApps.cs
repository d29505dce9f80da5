using System.Globalization;

namespace Serverless.EndToEndTests.Parts;

/// <summary>
/// The distributed shape as <c>dapr run -f .</c> starts it: every app of <c>dapr.yaml</c> and its sidecar, as processes, over a RabbitMQ and a Redis of the test. Ports are free ones,
/// and what the environment of all gets on top is the addresses of those two.
/// </summary>
internal sealed class DaprApps : IAsyncDisposable
{
    private readonly Dictionary<string, Daprd> _sidecars = new(StringComparer.Ordinal);
    private readonly Dictionary<string, PartProcess> _apps = new(StringComparer.Ordinal);
    private readonly string _folder;
    private readonly IReadOnlyDictionary<string, string> _environment;

    private DaprApps(RabbitMqServer rabbitMq, RedisServer redis, IReadOnlyDictionary<string, string>? environment)
    {
        _folder = Checkout.CopyComponents(redis.Configuration, rabbitMq.Url.ToString());
        File = DaprYaml.Load(Path.Combine(_folder, "dapr.yaml"));
        _environment = new Dictionary<string, string>(environment ?? new Dictionary<string, string>(), StringComparer.Ordinal)
        {
            ["Redis__Configuration"] = redis.Configuration,
            ["RabbitMq__Url"] = rabbitMq.Url.ToString(),
        };
    }

    /// <summary>Why tests that need it are skipped; null where all of it is there.</summary>
    public static string? Absent => Daprd.Absent ?? RabbitMqServer.Absent ?? RedisServer.Absent;

    /// <summary>Where its components and secrets are.</summary>
    public string Folder => _folder;

    public DaprYaml File { get; }

    /// <summary>Where clients ask.</summary>
    public Uri Gateway => Address(App("gateway").AppPort);

    public PartProcess Process(string app) => _apps[app];

    public Daprd Sidecar(string app) => _sidecars[app];

    /// <summary>Everything, running: every app answers, every sidecar knows its app.</summary>
    public static async Task<DaprApps> StartAsync(RabbitMqServer rabbitMq, RedisServer redis, CancellationToken cancellationToken, IReadOnlyDictionary<string, string>? environment = null)
    {
        var apps = new DaprApps(rabbitMq, redis, environment);
        try
        {
            foreach (var app in apps.File.Apps) apps.StartApp(app);
            await Task.WhenAll(apps.File.Apps.Select(app => apps.StartSidecarAsync(app, cancellationToken)));
            foreach (var app in apps.File.Apps) await apps.ReadyAsync(app, cancellationToken);
            return apps;
        }
        catch
        {
            await apps.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts an app that was killed, on its ports.</summary>
    public async Task RestartAppAsync(string name, CancellationToken cancellationToken)
    {
        await _apps[name].DisposeAsync();
        StartApp(App(name));
        await ReadyAsync(App(name), cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var app in _apps.Values) await app.DisposeAsync();
        foreach (var sidecar in _sidecars.Values) await sidecar.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static Uri Address(int port) => new(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));

    private DaprYamlApp App(string name) => File.Apps.Single(app => app.AppId == name);

    private void StartApp(DaprYamlApp app)
    {
        var environment = new Dictionary<string, string>(_environment, StringComparer.Ordinal);
        foreach (var (name, value) in app.Environment) environment.TryAdd(name, value);

        // What the CLI adds.
        environment["APP_ID"] = app.AppId;
        environment["APP_PORT"] = app.AppPort.ToString(CultureInfo.InvariantCulture);
        environment["DAPR_HTTP_PORT"] = app.HttpPort.ToString(CultureInfo.InvariantCulture);
        environment["DAPR_GRPC_PORT"] = app.GrpcPort.ToString(CultureInfo.InvariantCulture);
        _apps[app.AppId] = PartProcess.Start(app.AppId, app.Command[0], app.Command.Skip(1), environment, app.Folder);
    }

    private async Task StartSidecarAsync(DaprYamlApp app, CancellationToken cancellationToken)
    {
        var sidecar = await Daprd.StartNewAsync(
            new DaprdSettings
            {
                AppId = app.AppId, Folder = _folder, AppPort = app.AppPort, HttpPort = app.HttpPort, GrpcPort = app.GrpcPort, MetricsPort = app.MetricsPort, Arguments = app.Flags,
                Environment = _environment,
            },
            cancellationToken);
        lock (_sidecars) _sidecars[app.AppId] = sidecar;
    }

    private async Task ReadyAsync(DaprYamlApp app, CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        var ready = new Uri(Address(app.AppPort), "/readyz");
        await _apps[app.AppId].ReadyAsync(async token => (await http.GetAsync(ready, token)).IsSuccessStatusCode, cancellationToken);
        await _sidecars[app.AppId].ServesAppAsync(cancellationToken);
    }
}
