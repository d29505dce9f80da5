using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace Serverless.EndToEndTests.Parts;

/// <summary>A real RabbitMQ of a test: its own node, ports, folder and port mapper, with the management API. It can be killed, stopped and started again on the same ports and data.</summary>
internal sealed class RabbitMqServer : IAsyncDisposable
{
    /// <summary>Debian's <c>/usr/sbin</c> has a wrapper that becomes another user; this is the program itself.</summary>
    private const string Program = "/usr/lib/rabbitmq/bin/rabbitmq-server";

    private static readonly HttpClient Http = new() { DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String("guest:guest"u8)) } };

    private readonly string[] _settings;
    private readonly int _mapperPort = PartProcess.FreePort();
    private readonly int _nodePort = PartProcess.FreePort();
    private readonly int _managementPort = PartProcess.FreePort();
    private PartProcess? _process;

    private RabbitMqServer(string folder, string[] settings) => (Folder, _settings) = (folder, settings);

    /// <summary>Why tests that need it are skipped; null where it is installed.</summary>
    public static string? Absent => File.Exists(Program) ? null : "No RabbitMQ here: apt-get install rabbitmq-server.";

    public int Port { get; } = PartProcess.FreePort();

    /// <summary><c>amqp://…</c>.</summary>
    public Uri Url => new($"amqp://guest:guest@127.0.0.1:{Text(Port)}/");

    /// <summary>The management API; it listens a moment before the broker does.</summary>
    public Uri ManagementUrl => new($"http://guest:guest@127.0.0.1:{Text(_managementPort)}/");

    /// <summary>Its data; removed with it.</summary>
    public string Folder { get; }

    public PartProcess Process => _process ?? throw new InvalidOperationException("RabbitMQ is not running; StartAsync starts it.");

    /// <summary>A fresh, running one; settings are lines of <c>rabbitmq.conf</c> and come after the default <c>consumer_timeout = 7200000</c>.</summary>
    public static async Task<RabbitMqServer> StartNewAsync(CancellationToken cancellationToken, params string[] settings)
    {
        var server = new RabbitMqServer(Directory.CreateTempSubdirectory("serverless-rabbitmq-").FullName, settings);
        try
        {
            await server.StartAsync(cancellationToken);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts it again, on the same ports and with the data of its folder.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await File.WriteAllLinesAsync(
            Path.Combine(Folder, "rabbitmq.conf"),
            [
                $"listeners.tcp.1 = 127.0.0.1:{Text(Port)}",
                "management.tcp.ip = 127.0.0.1",
                $"management.tcp.port = {Text(_managementPort)}",
                "disk_free_limit.absolute = 50MB",
                "consumer_timeout = 7200000",
                .. _settings,
            ],
            cancellationToken);
        await File.WriteAllTextAsync(Path.Combine(Folder, "plugins"), "[rabbitmq_management].", cancellationToken);
        _process = PartProcess.Start("RabbitMQ", Program, [], Environment());
        await _process.ReadyAsync(ListensAsync, cancellationToken);
    }

    /// <summary>Loses it without warning; what the kernel has of its files stays.</summary>
    public async Task KillAsync()
    {
        await Process.SignalAsync("KILL");
        await Process.ExitedAsync(CancellationToken.None);
        await Process.DisposeAsync();
        _process = null;
        await StopMapperAsync();
    }

    /// <summary><see cref="KillAsync"/> and <see cref="StartAsync"/>.</summary>
    public async Task RestartAsync(CancellationToken cancellationToken)
    {
        await KillAsync();
        await StartAsync(cancellationToken);
    }

    /// <summary>
    /// Stops it in good order and starts it again: queues that were declared just before are known after a kill, too. RabbitMQ 3.10 writes a new quorum queue's name to disk
    /// about a second after it confirmed the declaration; killed before that, the queue is there and never answers.
    /// </summary>
    public async Task SettleAsync(CancellationToken cancellationToken)
    {
        await Process.SignalAsync("TERM");
        await Process.ExitedAsync(cancellationToken);
        await Process.DisposeAsync();
        _process = null;
        await StopMapperAsync();
        await StartAsync(cancellationToken);
    }

    /// <summary>Deletes a queue, as an operator might.</summary>
    public async Task DeleteQueueAsync(string name, CancellationToken cancellationToken)
    {
        using var answer = await Http.DeleteAsync(new Uri($"http://127.0.0.1:{Text(_managementPort)}/api/queues/%2F/{Uri.EscapeDataString(name)}"), cancellationToken);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>What it says of its queues, for the message of a test that fails.</summary>
    public Task<string> ListQueuesAsync(CancellationToken cancellationToken) =>
        Http.GetStringAsync(new Uri($"http://127.0.0.1:{Text(_managementPort)}/api/queues?columns=name,type,state,messages_ready,messages_unacknowledged,consumers"), cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await _process.DisposeAsync();
            await StopMapperAsync();
        }

        Directory.Delete(Folder, recursive: true);
    }

    private static string Text(int port) => port.ToString(CultureInfo.InvariantCulture);

    private Dictionary<string, string> Environment() => new(StringComparer.Ordinal)
    {
        ["HOME"] = Folder,
        ["RABBITMQ_NODENAME"] = $"serverless-{Text(Port)}@localhost",
        ["RABBITMQ_BASE"] = Folder,
        ["RABBITMQ_MNESIA_BASE"] = Path.Combine(Folder, "data"),
        ["RABBITMQ_LOG_BASE"] = Path.Combine(Folder, "log"),
        ["RABBITMQ_LOGS"] = "-",
        ["RABBITMQ_CONFIG_FILE"] = Path.Combine(Folder, "rabbitmq.conf"),
        ["RABBITMQ_CONF_ENV_FILE"] = Path.Combine(Folder, "none"),
        ["RABBITMQ_ENABLED_PLUGINS_FILE"] = Path.Combine(Folder, "plugins"),
        ["RABBITMQ_PID_FILE"] = Path.Combine(Folder, "pid"),
        ["RABBITMQ_DIST_PORT"] = Text(_nodePort),
        ["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = "-setcookie serverless +sbwt none", // a private cookie; idle schedulers do not spin beside the test
        ["ERL_EPMD_PORT"] = Text(_mapperPort),
        ["ERL_EPMD_ADDRESS"] = "127.0.0.1",
        ["RUNNING_UNDER_SYSTEMD"] = "true", // the script becomes the node, so our process id is the node's
    };

    private async Task<bool> ListensAsync(CancellationToken cancellationToken)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port, cancellationToken);
        await using var stream = client.GetStream();
        await stream.WriteAsync("AMQP\0\0\u0009\u0001"u8.ToArray(), cancellationToken);
        return await stream.ReadAsync(new byte[1], cancellationToken) == 1;
    }

    /// <summary>The node starts a port mapper of its own as a daemon; it goes with the node.</summary>
    private async Task StopMapperAsync()
    {
        if (PartProcess.Find("epmd") is not { } mapper) return;

        await using var stop = PartProcess.Start("epmd", mapper, ["-port", Text(_mapperPort), "-kill"]);
        await stop.ExitedAsync(CancellationToken.None);
    }
}
