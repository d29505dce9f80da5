using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Serverless.EndToEndTests.Parts;

/// <summary>
/// A real Redis of a test: its own port and folder, an append-only file, no eviction. It can be killed, stopped and started again on the same port and data, and its data
/// can be put back to an earlier copy, as after the loss of what was not on disk.
/// </summary>
internal sealed class RedisServer : IAsyncDisposable
{
    private readonly string[] _settings;
    private PartProcess? _process;
    private int _copies;

    private RedisServer(string folder, string[] settings) => (Folder, _settings) = (folder, settings);

    /// <summary>Why tests that need it are skipped; null where it is installed.</summary>
    public static string? Absent => PartProcess.Find("redis-server") is null ? "No redis-server on the PATH: apt-get install redis-server." : null;

    public int Port { get; } = PartProcess.FreePort();

    /// <summary>In StackExchange.Redis' words.</summary>
    public string Configuration => $"127.0.0.1:{Port.ToString(CultureInfo.InvariantCulture)}";

    /// <summary>Its data; removed with it.</summary>
    public string Folder { get; }

    public PartProcess Process => _process ?? throw new InvalidOperationException("Redis is not running; StartAsync starts it.");

    /// <summary>A fresh, running one. What is set replaces the default: <c>appendonly yes</c>, <c>appendfsync everysec</c>, <c>maxmemory-policy noeviction</c>, no snapshots. Settings are name and value in turn: <c>"appendfsync", "always"</c>.</summary>
    public static async Task<RedisServer> StartNewAsync(CancellationToken cancellationToken, params string[] settings)
    {
        var server = new RedisServer(Directory.CreateTempSubdirectory("serverless-redis-").FullName, settings);
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

    /// <summary>Starts it again, on the same port and with the data of its folder.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var settings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["port"] = Port.ToString(CultureInfo.InvariantCulture),
            ["bind"] = "127.0.0.1",
            ["dir"] = Folder,
            ["save"] = "",
            ["appendonly"] = "yes",
            ["appendfsync"] = "everysec",
            ["maxmemory-policy"] = "noeviction",
        };
        for (var i = 0; i + 1 < _settings.Length; i += 2) settings[_settings[i]] = _settings[i + 1];

        _process = PartProcess.Start("Redis", PartProcess.Find("redis-server")!, settings.SelectMany(setting => new[] { "--" + setting.Key, setting.Value }));
        await _process.ReadyAsync(async token => await CommandAsync("PING", token) == "+PONG", cancellationToken);
    }

    /// <summary>Loses it without warning; what the kernel has of its file stays.</summary>
    public async Task KillAsync()
    {
        await Process.SignalAsync("KILL");
        await Process.ExitedAsync(CancellationToken.None);
        await Process.DisposeAsync();
        _process = null;
    }

    /// <summary><see cref="KillAsync"/> and <see cref="StartAsync"/>.</summary>
    public async Task RestartAsync(CancellationToken cancellationToken)
    {
        await KillAsync();
        await StartAsync(cancellationToken);
    }

    /// <summary>Copies the append-only file as it is now; <see cref="RestoreAsync"/> goes back to it. Every command answered before is in it.</summary>
    public string CopyData()
    {
        var copy = Path.Combine(Folder, string.Create(CultureInfo.InvariantCulture, $"copy-{_copies++}"));
        CopyFolder(Path.Combine(Folder, "appendonlydir"), copy);
        return copy;
    }

    /// <summary>Kills it and starts it from a copy of its data: all that was written since is lost.</summary>
    public async Task RestoreAsync(string copy, CancellationToken cancellationToken)
    {
        await KillAsync();
        var data = Path.Combine(Folder, "appendonlydir");
        Directory.Delete(data, recursive: true);
        CopyFolder(copy, data);
        await StartAsync(cancellationToken);
    }

    /// <summary>Sends one inline command (words without spaces) and returns the first line of the answer.</summary>
    public async Task<string> CommandAsync(string command, CancellationToken cancellationToken)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, Port, cancellationToken);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes(command + "\r\n"), cancellationToken);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return await reader.ReadLineAsync(cancellationToken) ?? "";
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null) await _process.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    private static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from)) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }
}
