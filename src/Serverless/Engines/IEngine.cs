using Serverless.Catalog.Engines;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Engines;

/// <summary>Port: what generates. One instance is one replica's engine, loaded and ready. Thread-safe; disposed when nothing runs.</summary>
public interface IEngine : IAsyncDisposable
{
    /// <summary>Its name, for people and metrics.</summary>
    string Name { get; }

    /// <summary>Tokens its KV cache holds.</summary>
    long KvCapacityTokens { get; }

    /// <summary>Requests it runs at once.</summary>
    int Slots { get; }

    /// <summary>Names of the endpoints whose requests it can answer.</summary>
    IReadOnlyList<string> Endpoints => WorkerDescription.FirstEndpoints;

    /// <summary>What it honours beyond plain sampled text, by name (<see cref="EngineFeatures"/>).</summary>
    IReadOnlyList<string> Features => [];

    /// <summary>What it does now.</summary>
    WorkerLoad Load { get; }

    /// <summary>Completes when it can serve no more and must be replaced; while all is well, never.</summary>
    Task Lost { get; }

    /// <summary>
    /// Generates the answer of a request from after <paramref name="output"/>, the chunks that earlier attempts have logged. Always as a stream; the last output carries the usage.
    /// Cancelled, it stops within two steps. Safe to call up to <see cref="Slots"/> times at once, not counting what was cancelled: one may begin while another is still stopping.
    /// </summary>
    IAsyncEnumerable<EngineOutput> GenerateAsync(InferenceRequest request, IReadOnlyList<ChoiceChunk> output, CancellationToken cancellationToken);
}
