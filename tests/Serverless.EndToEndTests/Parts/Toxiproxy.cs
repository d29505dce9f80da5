using System.Globalization;
using System.Net.Http.Json;

namespace Serverless.EndToEndTests.Parts;

/// <summary>A real TCP proxy that cuts, slows and resets links, in front of any number of parts.</summary>
internal sealed class Toxiproxy : IAsyncDisposable
{
    private readonly PartProcess _process;
    private readonly HttpClient _api;

    private Toxiproxy(PartProcess process, int port)
    {
        _process = process;
        _api = new HttpClient { BaseAddress = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}")) };
    }

    /// <summary>Why tests that need it are skipped; null where it is there.</summary>
    public static string? Absent => Rig.AbsenceOf("toxiproxy", "toxiproxy-server");

    public static async Task<Toxiproxy> StartNewAsync(CancellationToken cancellationToken)
    {
        var program = await Rig.PathAsync("toxiproxy", "toxiproxy-server");
        var port = PartProcess.FreePort();
        var proxy = new Toxiproxy(PartProcess.Start("toxiproxy", program, ["-host", "127.0.0.1", "-port", port.ToString(CultureInfo.InvariantCulture)]), port);
        try
        {
            await proxy._process.ReadyAsync(async token => (await proxy._api.GetAsync(new Uri("/version", UriKind.Relative), token)).IsSuccessStatusCode, cancellationToken);
            return proxy;
        }
        catch
        {
            await proxy.DisposeAsync();
            throw;
        }
    }

    /// <summary>Puts a link in front of a port of this machine.</summary>
    public async Task<ToxicLink> LinkAsync(string name, int port, CancellationToken cancellationToken)
    {
        var listen = PartProcess.FreePort();
        var body = new { name, listen = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{listen}"), upstream = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}"), enabled = true };
        using var answer = await _api.PostAsJsonAsync(new Uri("/proxies", UriKind.Relative), body, cancellationToken);
        answer.EnsureSuccessStatusCode();
        return new ToxicLink(_api, name, listen);
    }

    public async ValueTask DisposeAsync()
    {
        _api.Dispose();
        await _process.DisposeAsync();
    }
}
