using Serverless.Inference.Kernels;
using Serverless.Inference.Models;

namespace Serverless.Inference.Batching;

/// <summary>How an engine runs.</summary>
public sealed record InferenceEngineOptions
{
    /// <summary>Most threads of a pass. Default: one for each core.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>The cores it shares with other engines of the process; null: it has as many to itself as it has threads. Default: null.</summary>
    public CoreBudget? Cores { get; init; }

    /// <summary>Sequences run at once; more cost memory and time per step. Default: 16.</summary>
    public int MaxSequences { get; init; } = 16;

    /// <summary>Tokens the KV cache holds, over all sequences and what is kept of those that ended; memory is taken as they are needed. Default: 16,384.</summary>
    public int KvTokens { get; init; } = 16384;

    /// <summary>How the cache keeps keys and values. Default: as half floats.</summary>
    public KeyValueFormat KvFormat { get; init; }

    /// <summary>Longest sequence; the model's context if 0. Default: 0.</summary>
    public int ContextTokens { get; init; }

    /// <summary>Most prompt tokens of a pass; fewer are taken where a pass would grow too long. Default: 256.</summary>
    public int PrefillChunk { get; init; } = 256;

    /// <summary>How long a pass may take, so that decoding goes on while prompts are read. Default: 150 ms.</summary>
    public TimeSpan StepTarget { get; init; } = TimeSpan.FromMilliseconds(150);

    /// <summary>Name of the kernels to run on; null for the best.</summary>
    public string? Kernels { get; init; }

    internal KernelSet KernelSet => Kernels is null
        ? KernelSet.Available[0]
        : KernelSet.Available.FirstOrDefault(set => set.Name == Kernels)
            ?? throw new ArgumentException($"Kernels '{Kernels}' do not run here; there are: {string.Join(", ", KernelSet.Available.Select(set => set.Name))}.");
}
