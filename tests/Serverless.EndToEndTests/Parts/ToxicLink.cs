using System.Net.Http.Json;

namespace Serverless.EndToEndTests.Parts;

/// <summary>One link through <see cref="Toxiproxy"/>. Harm stays until <see cref="HealAsync"/>.</summary>
internal sealed class ToxicLink(HttpClient api, string name, int port)
{
    private bool _lossy;

    /// <summary>Where clients connect instead of to the part.</summary>
    public int Port => port;

    /// <summary>Closes all connections and takes no new ones.</summary>
    public Task CutAsync(CancellationToken cancellationToken) => SetEnabledAsync(false, cancellationToken);

    /// <summary>Connections stay, but no byte passes, until they are closed with <see cref="HealAsync"/>: what was sent meanwhile is lost, and no connection may go on as if it was not.</summary>
    public Task StallAsync(CancellationToken cancellationToken)
    {
        _lossy = true;
        return AddAsync("timeout", new { timeout = 0 }, cancellationToken);
    }

    /// <summary>Every byte comes later by this much, in both directions.</summary>
    public Task SlowAsync(TimeSpan delay, CancellationToken cancellationToken) => AddAsync("latency", new { latency = (int)delay.TotalMilliseconds }, cancellationToken);

    /// <summary>Connections, those there are and those to come, are reset.</summary>
    public Task ResetAsync(CancellationToken cancellationToken) => AddAsync("reset_peer", new { timeout = 0 }, cancellationToken);

    /// <summary>As it was at first.</summary>
    public async Task HealAsync(CancellationToken cancellationToken)
    {
        if (_lossy) await CutAsync(cancellationToken);
        _lossy = false;
        foreach (var toxic in await api.GetFromJsonAsync<List<Toxic>>(Path("/toxics"), cancellationToken) ?? [])
        {
            using var answer = await api.DeleteAsync(Path($"/toxics/{toxic.Name}"), cancellationToken);
            answer.EnsureSuccessStatusCode();
        }

        await SetEnabledAsync(true, cancellationToken);
    }

    private async Task SetEnabledAsync(bool enabled, CancellationToken cancellationToken)
    {
        using var answer = await api.PostAsJsonAsync(Path(""), new { enabled }, cancellationToken);
        answer.EnsureSuccessStatusCode();
    }

    private async Task AddAsync(string type, object attributes, CancellationToken cancellationToken)
    {
        foreach (var stream in new[] { "upstream", "downstream" })
        {
            using var answer = await api.PostAsJsonAsync(Path("/toxics"), new { name = $"{type}-{stream}", type, stream, attributes }, cancellationToken);
            answer.EnsureSuccessStatusCode();
        }
    }

    private Uri Path(string rest) => new($"/proxies/{name}{rest}", UriKind.Relative);

    private sealed record Toxic(string Name);
}
