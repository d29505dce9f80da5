namespace Serverless.Simulation;

/// <summary>How fast one replica is: what a replayed engine's time depends on. Seconds, tokens, bytes nowhere.</summary>
public sealed record EngineProfile
{
    /// <summary>The accelerator class.</summary>
    public required string Name { get; init; }

    /// <summary>Prompt tokens per second of a prefill that has the engine to itself, before attention over a long context slows it.</summary>
    public required double PrefillTokensPerSecond { get; init; }

    /// <summary>Prompt tokens at which attention costs as much as the weights: the mean cost per token grows by half of position over this. For 32 layers of width 4,096: 16 GFLOP / (4 × 32 × 4,096).</summary>
    public double AttentionTokens { get; init; } = 30_500;

    /// <summary>Seconds of a decoding step of one sequence without context: the weights are read once.</summary>
    public required double StepSeconds { get; init; }

    /// <summary>Seconds that each further sequence adds to a step.</summary>
    public required double StepSecondsPerSequence { get; init; }

    /// <summary>Seconds that each token in the KV cache adds to a step: it is read.</summary>
    public required double StepSecondsPerKvToken { get; init; }

    /// <summary>Prompt tokens that a step takes beside decoding (vLLM's <c>--max-num-batched-tokens</c>).</summary>
    public int ChunkTokens { get; init; } = 2048;

    /// <summary>Tokens the KV cache holds.</summary>
    public required long KvTokens { get; init; }

    /// <summary>Sequences at once (vLLM's <c>--max-num-seqs</c>).</summary>
    public int Slots { get; init; } = 256;

    /// <summary>Seconds from "asked for" to "takes work", the weights on the node.</summary>
    public required double ColdStartSeconds { get; init; }

    /// <summary>Dollars per hour.</summary>
    public required double HourlyPrice { get; init; }

    /// <summary>Seconds of compute to prefill a prompt that has the engine to itself: the unloaded time to first token.</summary>
    public double PrefillSeconds(int promptTokens) => promptTokens / PrefillTokensPerSecond * (1 + (promptTokens / (2 * AttentionTokens)));

    /// <summary>Seconds of a step that only decodes.</summary>
    public double DecodeStepSeconds(int sequences, double kvTokens) => StepSeconds + (StepSecondsPerSequence * sequences) + (StepSecondsPerKvToken * kvTokens);
}
