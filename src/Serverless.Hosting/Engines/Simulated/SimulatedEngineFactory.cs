using System.Collections.Concurrent;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Engines;

namespace Serverless.Hosting.Engines.Simulated;

/// <summary>Engine <c>simulated</c>; parameters: <see cref="SimulatedParams"/>.</summary>
internal sealed class SimulatedEngineFactory(TimeProvider time) : IEngineFactory
{
    private readonly ConcurrentDictionary<PoolName, int> _loads = new();

    public static EngineDescriptor Described { get; } = new()
    {
        Name = "simulated",
        Params = SimulatedParams.All,
        Scheme = "simulated",
        DefaultFlavor = "simulated",
        Honours = [EngineFeature.LogitBias, EngineFeature.Penalties, EngineFeature.RepetitionPenalty, EngineFeature.TypicalSampling, EngineFeature.DryPenalty, EngineFeature.EchoWithLogProbs], // stands for any engine, draws nothing
        FirstLoad = static (flavor, _) => TimeSpan.FromSeconds(SimulatedParams.LoadSeconds.ReadOrDefault(flavor.Params)),
    };

    public EngineDescriptor Descriptor => Described;

    public async Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var given = new FlavorParams(pool, Described);
        var options = new SimulatedEngineOptions
        {
            Slots = given.Integer(SimulatedParams.Slots),
            KvTokens = given.Integer(SimulatedParams.KvTokens),
            PrefillTokensPerSecond = given.Number(SimulatedParams.PrefillTokensPerSecond),
            DecodeTokensPerSecond = given.Number(SimulatedParams.DecodeTokensPerSecond),
            OutputTokens = given.Integer(SimulatedParams.OutputTokens),
            FailEvery = given.Integer(SimulatedParams.FailEvery),
            CrashEvery = given.Integer(SimulatedParams.CrashEvery),
            FailAfterTokens = given.Integer(SimulatedParams.FailAfterTokens),
        };
        var load = TimeSpan.FromSeconds(given.Number(SimulatedParams.LoadSeconds));
        var failLoads = given.Integer(SimulatedParams.FailLoads);
        if (load > TimeSpan.Zero) await Task.Delay(load, time, cancellationToken);
        var number = _loads.AddOrUpdate(pool.Name, 1, (_, loads) => loads + 1);
        if (number <= failLoads) throw new EngineLoadException($"The simulated engine failed load {number} of {failLoads}, as its flavor's failLoads asks.");

        progress.Report(1);
        return new SimulatedEngine(options, time);
    }
}
