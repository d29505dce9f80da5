using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RabbitMQ.Client;
using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Hosting.Dapr;

namespace Serverless.EndToEndTests.Dapr;

/// <summary>For all tests of a class: an app that takes events, its sidecar over the shipped components, and a RabbitMQ.</summary>
public sealed class DaprEvents : IEventHandler, IAsyncDisposable
{
    public const string AppToken = "the token by which daprd is known to the app";
    public const string SidecarToken = "the token by which the app is known to daprd";

    private WebApplication? _app;
    private Daprd? _sidecar;
    private RedisServer? _redis;
    private RabbitMqServer? _rabbitMq;
    private IConnection? _broker;
    private IChannel? _channel;

    public static string? Absent => Daprd.Absent ?? RabbitMqServer.Absent ?? RedisServer.Absent;

    public IReadOnlyList<string> Topics { get; } = [EventTopics.Requests];

    internal IEventHandler? Handler { get; set; }

    internal IEventBus Bus => _app!.Services.GetRequiredService<IEventBus>();

    internal Uri AppAddress => new(_app!.Urls.First());

    internal Daprd Sidecar => _sidecar!;

    public ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken) => Handler!.HandleAsync(cloudEvent, cancellationToken);

    internal async Task StartAsync()
    {
        if (_sidecar is not null) return;

        _rabbitMq = await RabbitMqServer.StartNewAsync(CancellationToken.None);
        _redis = await RedisServer.StartNewAsync(CancellationToken.None);
        await DeclareDeadLettersAsync(_rabbitMq.Url, CancellationToken.None);
        var (http, grpc, port) = (PartProcess.FreePort(), PartProcess.FreePort(), PartProcess.FreePort());
        _app = BuildApp(http, grpc, port);
        await _app.StartAsync(CancellationToken.None);
        _sidecar = await Daprd.StartNewAsync(
            new DaprdSettings
            {
                AppId = DaprNames.GatewayApp,
                Folder = Checkout.CopyComponents(_redis.Configuration, _rabbitMq.Url.ToString()),
                AppPort = port,
                HttpPort = http,
                GrpcPort = grpc,
                Arguments = ["--resources-path", "components", "--config", "components/laptop/configuration.yaml"],
                Environment = new Dictionary<string, string> { ["APP_API_TOKEN"] = AppToken, ["DAPR_API_TOKEN"] = SidecarToken },
            },
            CancellationToken.None);
        await _sidecar.ServesAppAsync(CancellationToken.None);
    }

    /// <summary>The dead letter of that id, once it is there; those before it are done with.</summary>
    internal async Task<CloudEvent> DeadLetterAsync(string id)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        do
        {
            if (await _channel!.BasicGetAsync(EventTopics.RequestsDead, autoAck: true, limit.Token) is not { } message) continue;
            var dead = CloudEventJson.Decode(message.Body);
            if (dead.Id == id) return dead;
        }
        while (await pace.WaitForNextTickAsync(limit.Token));

        throw new InvalidOperationException("The timer ended.");
    }

    public async ValueTask DisposeAsync()
    {
        if (_sidecar is not null) await _sidecar.DisposeAsync();
        if (_app is not null) await _app.DisposeAsync();
        if (_channel is not null) await _channel.DisposeAsync();
        if (_broker is not null) await _broker.DisposeAsync();
        if (_redis is not null) await _redis.DisposeAsync();
        if (_rabbitMq is not null) await _rabbitMq.DisposeAsync();
    }

    private WebApplication BuildApp(int sidecarHttp, int sidecarGrpc, int port)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DAPR_HTTP_PORT"] = sidecarHttp.ToString(CultureInfo.InvariantCulture),
            ["DAPR_GRPC_PORT"] = sidecarGrpc.ToString(CultureInfo.InvariantCulture),
            ["DAPR_API_TOKEN"] = SidecarToken,
            ["APP_API_TOKEN"] = AppToken,
        });
        builder.WebHost.UseUrls(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
        builder.Services.AddSingleton<IEventHandler>(this).AddDaprEvents();
        var app = builder.Build();
        app.MapDaprEvents();
        return app;
    }

    private async Task DeclareDeadLettersAsync(Uri broker, CancellationToken cancellationToken)
    {
        _broker = await new ConnectionFactory { Uri = broker }.CreateConnectionAsync(cancellationToken);
        _channel = await _broker.CreateChannelAsync(cancellationToken: cancellationToken);
        await _channel.ExchangeDeclareAsync(EventTopics.RequestsDead, ExchangeType.Fanout, durable: true, cancellationToken: cancellationToken);
        await _channel.QueueDeclareAsync(EventTopics.RequestsDead, durable: true, exclusive: false, autoDelete: false, new Dictionary<string, object?> { ["x-queue-type"] = "quorum" }, cancellationToken: cancellationToken);
        await _channel.QueueBindAsync(EventTopics.RequestsDead, EventTopics.RequestsDead, "", cancellationToken: cancellationToken);
    }
}
