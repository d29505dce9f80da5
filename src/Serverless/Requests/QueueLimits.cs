namespace Serverless.Requests;

/// <summary>Bounds of one model's queue; raising one costs memory while the model's pools are at zero or full.</summary>
public sealed record QueueLimits
{
    /// <summary>Requests. Default: 100,000.</summary>
    public int MaxRequests { get; init; } = 100_000;

    /// <summary>Tokens, prompt and output caps together. Default: 100 million.</summary>
    public long MaxTokens { get; init; } = 100_000_000;

    /// <summary>Bytes of bodies. Default: 1 GiB.</summary>
    public long MaxBytes { get; init; } = 1L << 30;

    /// <summary>The share of each bound that one organization may take, so that one cannot shut the others out. Default: 1, as befits a single tenant.</summary>
    public double TenantShare { get; init; } = 1;
}
