namespace Serverless.Catalog.Manifests;

/// <summary>What a model's own file says of it.</summary>
/// <param name="ContextTokens">The longest prompt plus output it was trained for.</param>
/// <param name="Unservable">Why the model cannot be served although its file is whole: a sentence that names the file. Null if it can.</param>
public sealed record ModelFacts(int ContextTokens, string? Unservable = null)
{
    /// <summary>How its tokens are best chosen, as the file says.</summary>
    public SamplingDefaults Sampling { get; init; } = SamplingDefaults.None;

    /// <summary>What the file says and is not taken, as a sentence's end; null where all is.</summary>
    public string? Ignored { get; init; }

    /// <summary>How large the file is; null where nobody looked.</summary>
    public long? Bytes { get; init; }

    /// <summary>What tells the file from another of its name; null where nobody looked.</summary>
    public string? Version { get; init; }
}
