namespace Serverless.Inference.Sampling;

/// <summary>
/// "Don't repeat yourself": where the last tokens stood in the text before, the token that followed them there loses <see cref="Multiplier"/> · <see cref="Base"/>^(tokens − <see cref="AllowedLength"/>)
/// of its logit. Immutable.
/// </summary>
public sealed record DryOptions
{
    /// <summary>Strength; 0 is none.</summary>
    public double Multiplier { get; init; }

    /// <summary>How it grows with each token that is repeated; at least 1. Default: 1.75.</summary>
    public double Base { get; init; } = 1.75;

    /// <summary>Repetitions shorter than this are free. Default: 2.</summary>
    public int AllowedLength { get; init; } = 2;

    /// <summary>So many of the last tokens are looked at; below 0 all. Default: −1.</summary>
    public int LastTokens { get; init; } = -1;

    /// <summary>A token with one of these in its text ends a repetition. Default: a new line, a colon, a quotation mark and an asterisk.</summary>
    public IReadOnlyList<string> Breakers { get; init; } = ["\n", ":", "\"", "*"];
}
