using System.Globalization;

namespace Serverless.EndToEndTests.Parts;

/// <summary>A real Dapr sidecar of a test, on free ports of this machine; the flags are those of the dapr CLI.</summary>
internal sealed class Daprd : IAsyncDisposable
{
    private readonly IReadOnlyList<string> _arguments;
    private readonly IReadOnlyDictionary<string, string> _environment;
    private readonly string _folder;
    private PartProcess? _process;

    private Daprd(DaprdSettings settings, string program)
    {
        AppId = settings.AppId;
        Program = program;
        HttpPort = settings.HttpPort ?? PartProcess.FreePort();
        GrpcPort = settings.GrpcPort ?? PartProcess.FreePort();
        _folder = settings.Folder;
        _environment = settings.Environment;
        _arguments =
        [
            "--app-id", AppId,
            "--dapr-http-port", Text(HttpPort),
            "--dapr-grpc-port", Text(GrpcPort),
            "--dapr-internal-grpc-port", Text(PartProcess.FreePort()),
            "--dapr-listen-addresses", "127.0.0.1",
            "--dapr-internal-grpc-listen-address", "127.0.0.1",
            "--metrics-port", Text(settings.MetricsPort ?? PartProcess.FreePort()),
            "--metrics-listen-address", "127.0.0.1",
            .. settings.AppPort is { } port ? ["--app-port", Text(port)] : Array.Empty<string>(),
            .. settings.Arguments,
        ];
    }

    /// <summary>Why tests that need it are skipped; null where it is there.</summary>
    public static string? Absent => Rig.AbsenceOf("daprd", "daprd");

    public string AppId { get; }

    public int HttpPort { get; }

    public int GrpcPort { get; }

    public Uri HttpAddress => new($"http://127.0.0.1:{Text(HttpPort)}");

    public PartProcess Process => _process ?? throw new InvalidOperationException($"daprd of {AppId} is not running; StartAsync starts it.");

    private string Program { get; }

    public static async Task<Daprd> StartNewAsync(DaprdSettings settings, CancellationToken cancellationToken)
    {
        var sidecar = new Daprd(settings, await Rig.PathAsync("daprd", "daprd"));
        try
        {
            await sidecar.StartAsync(cancellationToken);
            return sidecar;
        }
        catch
        {
            await sidecar.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts it (again, on the same ports), until it serves its app's calls; whether the app is up is another question.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.Combine(_folder, ".dapr"));
        _process = PartProcess.Start($"daprd of {AppId}", Program, _arguments, _environment, _folder);
        using var http = new HttpClient();
        var outbound = new Uri(HttpAddress, "/v1.0/healthz/outbound");
        await _process.ReadyAsync(async token => (await http.GetAsync(outbound, token)).IsSuccessStatusCode, cancellationToken);
    }

    /// <summary>Waits until the app is known to it too and its subscriptions stand.</summary>
    public async Task ServesAppAsync(CancellationToken cancellationToken)
    {
        using var http = new HttpClient();
        var all = new Uri(HttpAddress, "/v1.0/healthz");
        await Process.ReadyAsync(async token => (await http.GetAsync(all, token)).IsSuccessStatusCode, cancellationToken);
    }

    /// <summary>Loses it without warning.</summary>
    public async Task KillAsync()
    {
        await Process.SignalAsync("KILL");
        await Process.ExitedAsync(CancellationToken.None);
        await Process.DisposeAsync();
        _process = null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null) await _process.DisposeAsync();
    }

    private static string Text(int port) => port.ToString(CultureInfo.InvariantCulture);
}
