namespace Serverless.EndToEndTests.Chaos;

/// <summary>Faults of every kind, one after the other in an order of chance, then again in another.</summary>
internal sealed class ChaosFaults(ChaosFleet fleet, ChaosLedger ledger, ChaosSettings settings)
{
    private static readonly TimeSpan Lull = TimeSpan.FromSeconds(1);

    private readonly Random _random = new(settings.Seed);

    private IReadOnlyList<(string Name, Func<CancellationToken, Task> PlayAsync)> All =>
    [
        .. from part in (string[])["worker", "gateway", "scaler", "daprd", "rabbitmq", "redis", "documents"] select ($"kill {part}", (Func<CancellationToken, Task>)(token => KillAsync(part, token))),
        .. from part in (string[])["worker", "gateway", "scaler", "daprd", "rabbitmq", "redis", "documents"] select ($"stop {part}", (Func<CancellationToken, Task>)(token => StopAsync(part, token))),
        .. from target in (string[])["rabbitmq", "redis", "documents", "workers"]
           from harm in (string[])["cut", "stall", "slow", "reset"]
           select ($"{harm} {target}", (Func<CancellationToken, Task>)(token => HarmAsync(harm, target, token))),
        ("lose redis", LoseAsync),
    ];

    /// <summary>Plays until told to stop; the fault of that moment is played to its end.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        var faults = All.Where(fault => settings.Faults.Count == 0 || settings.Faults.Any(wanted => fault.Name.Contains(wanted, StringComparison.Ordinal))).ToArray();
        while (true)
        {
            _random.Shuffle(faults);
            foreach (var (_, playAsync) in faults)
            {
                await RealTime.PassAsync(Lull, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (stopping.IsCancellationRequested) return;

                await playAsync(CancellationToken.None);
            }
        }
    }

    private async Task KillAsync(string kind, CancellationToken cancellationToken)
    {
        var part = Any(kind);
        ledger.Tell($"kill {part.Name}");
        await part.KillAsync();
        await WaitAsync(TimeSpan.FromSeconds(_random.NextDouble() * 2), cancellationToken);
        await part.StartAsync(cancellationToken);
        ledger.Tell($"{part.Name} is back");
    }

    private async Task StopAsync(string kind, CancellationToken cancellationToken)
    {
        var part = Any(kind);
        var pause = settings.Stops[_random.Next(settings.Stops.Count)];
        ledger.Tell($"stop {part.Name} for {pause.TotalSeconds:F0} s");
        await part.StopAsync();
        await WaitAsync(pause, cancellationToken);
        await part.ContinueAsync();
        ledger.Tell($"{part.Name} goes on");
    }

    private async Task HarmAsync(string harm, string target, CancellationToken cancellationToken)
    {
        var links = fleet.Links.Where(link => link.Name.EndsWith(target, StringComparison.Ordinal)).ToArray();
        var (name, link) = links[_random.Next(links.Length)];
        ledger.Tell($"{harm} {name}");
        await (harm switch
        {
            "cut" => link.CutAsync(cancellationToken),
            "stall" => link.StallAsync(cancellationToken),
            "slow" => link.SlowAsync(TimeSpan.FromMilliseconds(_random.Next(50, 400)), cancellationToken),
            _ => link.ResetAsync(cancellationToken),
        });
        await WaitAsync(TimeSpan.FromSeconds(1 + (_random.NextDouble() * 3)), cancellationToken);
        await link.HealAsync(cancellationToken);
        ledger.Tell($"{name} is healed");
    }

    /// <summary>The log goes back by two seconds.</summary>
    private async Task LoseAsync(CancellationToken cancellationToken)
    {
        ledger.Tell("redis loses two seconds");
        var copy = fleet.Log.CopyData();
        await WaitAsync(TimeSpan.FromSeconds(2), cancellationToken);
        await fleet.Log.RestoreAsync(copy, cancellationToken);
        ledger.Tell("redis is back");
    }

    private ChaosPart Any(string kind)
    {
        var parts = fleet.Parts.Where(part => part.Name.StartsWith(kind, StringComparison.Ordinal)).ToArray();
        return parts[_random.Next(parts.Length)];
    }

    private static Task WaitAsync(TimeSpan pause, CancellationToken cancellationToken) => RealTime.PassAsync(pause, cancellationToken);
}
