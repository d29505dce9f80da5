namespace Serverless.Sessions;

/// <summary>A worker's load as it reports it, at 5 Hz or more and after each end.</summary>
/// <param name="Running">Requests in the engine.</param>
/// <param name="KvUsedTokens">Tokens in the KV cache.</param>
/// <param name="PrefillTokensPerSecond">Measured rate of prefill, of tokens that no cache supplied; 0 while unknown.</param>
/// <param name="DecodeTokensPerSecond">Measured rate of decoding over all running requests; 0 while unknown.</param>
public sealed record WorkerLoad(int Running, long KvUsedTokens, double PrefillTokensPerSecond, double DecodeTokensPerSecond)
{
    /// <summary>Nothing running, nothing known.</summary>
    public static WorkerLoad Idle { get; } = new(0, 0, 0, 0);

    /// <summary>Prompt tokens of requests in it that have no output yet: what a prompt that comes now waits for. 0 of a worker that does not say.</summary>
    public long WaitingPromptTokens { get; init; }

    /// <summary>Share of the prompt tokens of requests lately ended that a prefix cache supplied, 0 to 1; null before the first.</summary>
    public double? CachedPromptShare { get; init; }

    /// <summary>Of a loading worker: the share of the load that is done, 0 to 1.</summary>
    public double LoadingProgress { get; init; }

    /// <summary>Of a loading worker: it pulls its model's files still, and the share is of their bytes.</summary>
    public bool Pulling { get; init; }
}
