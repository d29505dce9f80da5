namespace Serverless.Requests;

/// <summary>What one engine step added to one choice: a compact record, not OpenAI JSON; the gateway renders it.</summary>
/// <param name="Choice">Index of the choice, from 0.</param>
/// <param name="Position">Place of the first of <see cref="TokenIds"/> in the choice's output, from 0; followers check that positions neither skip nor repeat.</param>
/// <param name="TokenIds">The tokens generated; may be more than <see cref="Text"/> shows, when text is held back.</param>
/// <param name="Text">Text that is ready to be shown; may be empty.</param>
public sealed record ChoiceChunk(int Choice, int Position, IReadOnlyList<int> TokenIds, string Text)
{
    /// <summary>Generated but not yet shown: bytes of an unfinished character or of a possible stop string. A continuing attempt starts from it.</summary>
    public ReadOnlyMemory<byte> HeldBack { get; init; }

    /// <summary>One entry per token of <see cref="TokenIds"/> where log-probabilities were asked for; else empty.</summary>
    public IReadOnlyList<TokenLogProb> LogProbs { get; init; } = [];

    /// <summary>Set on the last chunk of the choice.</summary>
    public FinishReason? Finish { get; init; }
}
