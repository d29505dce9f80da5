using System.Globalization;
using Serverless.EndToEndTests.Parts;

namespace Serverless.Benchmarks;

/// <summary>The distributed shape as it runs: a RabbitMQ and a Redis, a gateway and its workers as processes of their own. Without daprd, which the synchronous path does not need.</summary>
internal sealed class DistributedShape : IAsyncDisposable
{
    private const string Pool = $"{Servers.Model}-cpu";

    private readonly string _manifests = Directory.CreateTempSubdirectory("serverless-bench-").FullName;
    private readonly List<IAsyncDisposable> _started = [];
    private string _rabbitMq = "";
    private string _redis = "";

    private DistributedShape()
    {
    }

    /// <summary>Names of the models at zero begin so; a number follows.</summary>
    public const string Sleeping = "zero-";

    /// <summary>Where clients ask.</summary>
    public Uri Address { get; private set; } = null!;

    public PartProcess Gateway { get; private set; } = null!;

    /// <summary>KEDA's door at the scaler, where there is one.</summary>
    public Uri? Scaler { get; private set; }

    /// <summary>The broker's management API.</summary>
    public Uri Management { get; private set; } = null!;

    /// <summary>Every process, by what it is.</summary>
    public List<(string Name, int Id)> Parts { get; } = [];

    /// <summary>Starts everything, lets it be measured and stops it; says why where it cannot run.</summary>
    /// <param name="name">The benchmark's.</param>
    /// <param name="engine">The parameters of the simulated engine, as a manifest has them.</param>
    /// <param name="workers">How many; each is ready before anything is measured.</param>
    /// <param name="measure">The benchmark itself.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    public static async Task RunAsync(string name, string engine, int workers, Func<DistributedShape, Task> measure, CancellationToken cancellationToken)
    {
        if ((RabbitMqServer.Absent ?? RedisServer.Absent) is { } absent)
        {
            Console.WriteLine($"{name}: {absent}");
            return;
        }

        await using var shape = new DistributedShape();
        await File.WriteAllTextAsync(Path.Combine(shape._manifests, "models.yaml"), Manifest(Servers.Model, engine, 1), cancellationToken);
        await shape.StartAsync(workers, cancellationToken);
        await measure(shape);
    }

    /// <summary>The same with a scaler, no worker, and so many models at zero, named <see cref="Sleeping"/> and a number.</summary>
    public static async Task RunAtZeroAsync(string name, int models, Func<DistributedShape, Task> measure, CancellationToken cancellationToken)
    {
        if ((RabbitMqServer.Absent ?? RedisServer.Absent) is { } absent)
        {
            Console.WriteLine($"{name}: {absent}");
            return;
        }

        await using var shape = new DistributedShape();
        foreach (var some in Enumerable.Range(0, models).Chunk(100)) // a file holds a thousand documents at most
        {
            var manifests = some.Select(number => Manifest(string.Create(CultureInfo.InvariantCulture, $"{Sleeping}{number}"), "{}", 0));
            await File.WriteAllTextAsync(Path.Combine(shape._manifests, string.Create(CultureInfo.InvariantCulture, $"models-{some[0]}.yaml")), string.Join("\n---\n", manifests), cancellationToken);
        }

        await shape.StartAsync(0, cancellationToken, "management_agent.disable_metrics_collector = true"); // a broker as its package installs it: the figures of the management API are an addition
        await shape.StartScalerAsync(cancellationToken);
        await measure(shape);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var part in Enumerable.Reverse(_started))
        {
            if (part is PartProcess process) ProcessorTime.Servers.Remove(process.Id);
            await part.DisposeAsync();
        }

        Directory.Delete(_manifests, recursive: true);
    }

    private static string Manifest(string model, string engine, int minReplicas) => $$"""
        apiVersion: llmaz.io/v1alpha1
        kind: OpenModel
        metadata: {name: {{model}}}
        spec:
          familyName: simulated
          source: {uri: simulated://zero}
          contextTokens: 131072
          inferenceConfig:
            flavors:
              - name: cpu
                params: {{engine}}
        ---
        apiVersion: inference.llmaz.io/v1alpha1
        kind: Playground
        metadata: {name: {{model}}}
        spec:
          modelClaim: {modelName: {{model}}}
          backendRuntimeConfig: {backendName: simulated}
          elasticConfig: {minReplicas: {{minReplicas}}, maxReplicas: 1}
        """;

    private static Uri Http(int port) => new(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));

    private async Task StartAsync(int workers, CancellationToken cancellationToken, params string[] broker)
    {
        var rabbitMq = await RabbitMqServer.StartNewAsync(cancellationToken, broker);
        _started.Add(rabbitMq);
        var redis = await RedisServer.StartNewAsync(cancellationToken);
        _started.Add(redis);
        (_rabbitMq, _redis, Management) = (rabbitMq.Url.ToString(), redis.Configuration, rabbitMq.ManagementUrl);
        Note("RabbitMQ", rabbitMq.Process.Id);
        Note("Redis", redis.Process.Id);

        Address = Http(PartProcess.FreePort());
        Gateway = Start("Gateway", Address, new()
        {
            ["Redis__Configuration"] = redis.Configuration,
            ["RabbitMq__Url"] = rabbitMq.Url.ToString(),
            ["Distributed__Manifests"] = _manifests,
            ["Sessions__Host"] = "127.0.0.1",
            ["Sessions__Port"] = PartProcess.FreePort().ToString(CultureInfo.InvariantCulture),
        });
        await ReadyAsync(Gateway, Address, cancellationToken);
        for (; workers > 0; workers--)
        {
            var address = Http(PartProcess.FreePort());
            var worker = Start("Worker", address, new() { ["Redis__Configuration"] = redis.Configuration, ["Worker__Pool"] = Pool });
            await ReadyAsync(worker, address, cancellationToken);
        }
    }

    private async Task StartScalerAsync(CancellationToken cancellationToken)
    {
        Scaler = Http(PartProcess.FreePort());
        var address = Http(PartProcess.FreePort());
        var scaler = Start("Scaler", address, new() { ["Redis__Configuration"] = _redis, ["RabbitMq__Url"] = _rabbitMq, ["Scaler__Keda"] = Scaler.ToString() });
        await ReadyAsync(scaler, address, cancellationToken);
    }

    private PartProcess Start(string program, Uri http, Dictionary<string, string> environment)
    {
        environment["Distributed__Http"] = http.ToString();
        var process = PartProcess.Start(program, Path.Combine(AppContext.BaseDirectory, $"Serverless.{program}"), [], environment);
        _started.Add(process);
        Note(program, process.Id);
        return process;
    }

    private void Note(string name, int process)
    {
        ProcessorTime.Servers.Add(process);
        Parts.Add((name, process));
    }

    private static async Task ReadyAsync(PartProcess process, Uri address, CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        await process.ReadyAsync(async token => (await http.GetAsync(new Uri(address, "/readyz"), token)).IsSuccessStatusCode, cancellationToken);
    }
}
