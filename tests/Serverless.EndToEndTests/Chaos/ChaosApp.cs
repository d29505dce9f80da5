using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>A host of ours as a process, which can be started again with the same environment.</summary>
internal sealed class ChaosApp(string name, string program, IReadOnlyDictionary<string, string> environment, Uri ready) : IAsyncDisposable
{
    private PartProcess? _process;

    public PartProcess Process => _process ?? throw new InvalidOperationException($"{name} is not running; StartAsync starts it.");

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (_process is not null) await _process.DisposeAsync();
        _process = PartProcess.Start(name, "dotnet", [$"artifacts/bin/{program}/release/{program}.dll"], environment, Checkout.Root);
        using var http = new HttpClient();
        await _process.ReadyAsync(async token => (await http.GetAsync(ready, token)).IsSuccessStatusCode, cancellationToken);
    }

    public async Task KillAsync()
    {
        await Process.SignalAsync("KILL");
        await Process.ExitedAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null) await _process.DisposeAsync();
    }
}
