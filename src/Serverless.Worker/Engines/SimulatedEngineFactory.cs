using System.Collections.Concurrent;
using Serverless.Catalog;

namespace Serverless.Worker.Engines;

/// <summary>Backend <c>simulated</c>: parameters <c>slots</c>, <c>kvTokens</c>, <c>prefillTokensPerSecond</c>, <c>decodeTokensPerSecond</c>, <c>outputTokens</c>, <c>loadSeconds</c>, and failures on purpose: <c>failLoads</c>, <c>failEvery</c>, <c>crashEvery</c>, <c>failAfterTokens</c>.</summary>
internal sealed class SimulatedEngineFactory(TimeProvider time) : IEngineFactory
{
    private readonly ConcurrentDictionary<PoolName, int> _loads = new();

    public string Backend => "simulated";

    public async Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var given = new FlavorParams(pool);
        var defaults = new SimulatedEngineOptions();
        var options = new SimulatedEngineOptions
        {
            Slots = given.Integer("slots", defaults.Slots, 1, 4096),
            KvTokens = given.Integer("kvTokens", (int)defaults.KvTokens, 1, int.MaxValue),
            PrefillTokensPerSecond = given.Number("prefillTokensPerSecond", 0, 0, 1e9),
            DecodeTokensPerSecond = given.Number("decodeTokensPerSecond", 0, 0, 1e9),
            OutputTokens = given.Integer("outputTokens", defaults.OutputTokens, 1, 1 << 20),
            FailEvery = given.Integer("failEvery", 0, 0, int.MaxValue),
            CrashEvery = given.Integer("crashEvery", 0, 0, int.MaxValue),
            FailAfterTokens = given.Integer("failAfterTokens", 0, 0, int.MaxValue),
        };
        var load = TimeSpan.FromSeconds(given.Number("loadSeconds", 0, 0, 3600));
        var failLoads = given.Integer("failLoads", 0, 0, int.MaxValue);
        given.Finish();

        if (load > TimeSpan.Zero) await Task.Delay(load, time, cancellationToken);
        var number = _loads.AddOrUpdate(pool.Name, 1, (_, loads) => loads + 1);
        if (number <= failLoads) throw new EngineLoadException($"The simulated engine failed load {number} of {failLoads}, as its flavor's failLoads asks.");

        progress.Report(1);
        return new SimulatedEngine(options, time);
    }
}
