using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Hosting.Dapr;

namespace Serverless.EndToEndTests.Distributed;

/// <summary>For all tests of a class: the apps of <c>dapr.yaml</c> over a RabbitMQ and a Redis, and a neighbour: another service with a sidecar of its own, which asks by events and hears the results.</summary>
public class DaprRun : IEventHandler, IAsyncDisposable
{
    private const string NeighbourApp = "neighbour";

    private readonly HttpClient _http = new() { Timeout = TestTimeouts.Default };
    private readonly Channel<CloudEvent> _results = Channel.CreateBounded<CloudEvent>(1000);
    private RabbitMqServer? _rabbitMq;
    private RedisServer? _redis;
    private DaprApps? _apps;
    private WebApplication? _neighbour;
    private Daprd? _neighbourSidecar;

    public string Topic => EventTopics.Results;

    internal DaprApps Apps => _apps!;

    internal Uri Broker => _rabbitMq!.Url;

    /// <summary>Redis in its client's words.</summary>
    internal string Store => _redis!.Configuration;

    /// <summary>What all apps get on top of what the file says.</summary>
    protected virtual IReadOnlyDictionary<string, string> Environment { get; } = new Dictionary<string, string>();

    internal IEventBus Neighbour => _neighbour!.Services.GetRequiredService<IEventBus>();

    /// <summary>What the apps said last, for the message of a failing test.</summary>
    internal string Output => string.Join('\n', Apps.File.Apps.Select(app => $"\n--- {app.AppId}\n{Apps.Process(app.AppId).Output}"));

    public async ValueTask<BrokerAnswer> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        await _results.Writer.WriteAsync(cloudEvent, cancellationToken);
        return BrokerAnswer.Acknowledge;
    }

    internal async Task StartAsync()
    {
        Assert.SkipWhen(DaprApps.Absent is not null, DaprApps.Absent ?? "");
        if (_neighbourSidecar is not null) return;

        _rabbitMq ??= await RabbitMqServer.StartNewAsync(CancellationToken.None);
        _redis ??= await RedisServer.StartNewAsync(CancellationToken.None, "appendfsync", "always");
        _apps ??= await DaprApps.StartAsync(_rabbitMq, _redis, CancellationToken.None, Environment);
        await StartNeighbourAsync();
    }

    internal Task<Answer> PostAsync(string path, string body, params (string Name, string Value)[] headers) => SendAsync(HttpMethod.Post, path, body, headers);

    internal Task<Answer> GetAsync(string path) => SendAsync(HttpMethod.Get, path, null, []);

    /// <summary>Asks until the answer is as wanted.</summary>
    internal async Task<JsonNode> UntilAsync(string path, Func<JsonNode, bool> wanted) =>
        (await UntilAsync(() => GetAsync(path), answer => answer.Body is { } body && wanted(body))).Body!;

    /// <summary>Asks until the answer is as wanted.</summary>
    internal async Task<Answer> UntilAsync(Func<Task<Answer>> ask, Func<Answer, bool> wanted)
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        Answer answer;
        do
        {
            answer = await ask();
            if (wanted(answer)) return answer;
        }
        while (!limit.IsCancellationRequested && await pace.WaitForNextTickAsync(CancellationToken.None));

        throw new InvalidOperationException($"The answer did not become what was awaited; it is {answer.Status}: {answer.Body}{Output}");
    }

    internal Task<CloudEvent> ResultAsync(string id) => ResultAsync(cloudEvent => cloudEvent.Subject == id);

    internal async Task<CloudEvent> ResultAsync(Func<CloudEvent, bool> wanted)
    {
        while (true)
        {
            var result = await _results.Reader.ReadAsync(TestContext.Current.CancellationToken).WithinLimitAsync();
            if (wanted(result)) return result;
        }
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        _http.Dispose();
        if (_neighbourSidecar is not null) await _neighbourSidecar.DisposeAsync();
        if (_neighbour is not null) await _neighbour.DisposeAsync();
        if (_apps is not null) await _apps.DisposeAsync();
        if (_redis is not null) await _redis.DisposeAsync();
        if (_rabbitMq is not null) await _rabbitMq.DisposeAsync();
    }

    private async Task<Answer> SendAsync(HttpMethod method, string path, string? body, (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(Apps.Gateway, path));
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        using var answer = await _http.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return new Answer(answer.StatusCode, text.StartsWith('{') ? JsonNode.Parse(text) : null);
    }

    /// <summary>A service of somebody else: its components are ours with its app id in their scopes, its subscription its own.</summary>
    private async Task StartNeighbourAsync()
    {
        var folder = Checkout.CopyComponents(_redis!.Configuration, _rabbitMq!.Url.ToString());
        foreach (var file in Directory.GetFiles(Path.Combine(folder, "components"), "*.yaml"))
            await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file, CancellationToken.None)).Replace("scopes: [gateway, worker, scaler]", $"scopes: [{NeighbourApp}]", StringComparison.Ordinal), CancellationToken.None);
        await File.WriteAllTextAsync(Path.Combine(folder, "components", "subscriptions.yaml"), $$"""
            apiVersion: dapr.io/v2alpha1
            kind: Subscription
            metadata: {name: results}
            spec:
              pubsubname: pubsub
              topic: {{EventTopics.Results}}
              routes: {default: /events/{{EventTopics.Results}}}
            scopes: [{{NeighbourApp}}]
            """, CancellationToken.None);
        var (http, grpc, port) = (PartProcess.FreePort(), PartProcess.FreePort(), PartProcess.FreePort());
        _neighbour = BuildNeighbour(http, grpc, port);
        await _neighbour.StartAsync(CancellationToken.None);
        _neighbourSidecar = await Daprd.StartNewAsync(
            new DaprdSettings
            {
                AppId = NeighbourApp, Folder = folder, AppPort = port, HttpPort = http, GrpcPort = grpc,
                Arguments = ["--resources-path", "components", "--config", "components/laptop/configuration.yaml"],
            },
            CancellationToken.None);
        await _neighbourSidecar.ServesAppAsync(CancellationToken.None);
    }

    private WebApplication BuildNeighbour(int sidecarHttp, int sidecarGrpc, int port)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DAPR_HTTP_PORT"] = sidecarHttp.ToString(CultureInfo.InvariantCulture),
            ["DAPR_GRPC_PORT"] = sidecarGrpc.ToString(CultureInfo.InvariantCulture),
        });
        builder.WebHost.UseUrls(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
        builder.Services.AddSingleton<IEventHandler>(this).AddDaprEvents();
        var app = builder.Build();
        app.MapDaprEvents();
        return app;
    }

    /// <summary>What the gateway said.</summary>
    internal sealed record Answer(HttpStatusCode Status, JsonNode? Body);
}
