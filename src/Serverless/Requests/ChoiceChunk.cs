namespace Serverless.Requests;

/// <summary>What one engine step added to one choice: a compact record, not OpenAI JSON; the gateway renders it.</summary>
/// <param name="Choice">Index of the choice, from 0.</param>
/// <param name="Position">Place of the first of <see cref="TokenIds"/> in the choice's output, from 0; followers check that positions neither skip nor repeat.</param>
/// <param name="TokenIds">The tokens generated; may be more than <see cref="Text"/> shows, when text is held back.</param>
/// <param name="Text">Text that is ready to be shown; may be empty.</param>
public sealed record ChoiceChunk(int Choice, int Position, IReadOnlyList<int> TokenIds, string Text)
{
    /// <summary>Stands for a token where the engine that made it does not say which it is; whoever goes on from it goes by the text.</summary>
    public const int UnknownToken = -1;

    /// <summary>Generated but not yet shown: bytes of an unfinished character or of a possible stop string. A continuing attempt starts from it.</summary>
    public ReadOnlyMemory<byte> HeldBack { get; init; }

    /// <summary>
    /// One entry per token of <see cref="TokenIds"/> where log-probabilities were asked for; else empty. Where the prompt's were asked for too, the first chunk has them before its own.
    /// </summary>
    public IReadOnlyList<TokenLogProb> LogProbs { get; init; } = [];

    /// <summary>What the model thinks before it answers, ready to be shown; may be empty.</summary>
    public string Reasoning { get; init; } = "";

    /// <summary>Pieces of calls of tools, in order; pieces of one call have one index.</summary>
    public IReadOnlyList<ToolCallFragment> ToolCalls { get; init; } = [];

    /// <summary>Set on the last chunk of the choice.</summary>
    public FinishReason? Finish { get; init; }

    /// <summary>Whether a client is shown anything of it, its end aside.</summary>
    public bool HasText => Text.Length > 0 || Reasoning.Length > 0 || ToolCalls.Count > 0;
}

/// <summary>A piece of a call of a tool.</summary>
/// <param name="Index">Which call of the choice, from 0.</param>
/// <param name="Id">The call's id; empty but in its first piece.</param>
/// <param name="Name">The function's name; empty but in the first piece.</param>
/// <param name="Arguments">More of the arguments' JSON; may be empty.</param>
public sealed record ToolCallFragment(int Index, string Id, string Name, string Arguments);

/// <summary>A token and its log-probability.</summary>
/// <param name="TokenId">The token.</param>
/// <param name="Bytes">Its bytes; may be part of a character.</param>
/// <param name="LogProb">Natural logarithm of its probability; NaN for a prompt's first token, which nothing comes before.</param>
/// <param name="Top">The most probable tokens at that position, itself perhaps among them; empty if not asked for or if this is one of them.</param>
public sealed record TokenLogProb(int TokenId, ReadOnlyMemory<byte> Bytes, float LogProb, IReadOnlyList<TokenLogProb> Top);

/// <summary>Why a choice ended, in OpenAI's words; one that this release does not know is passed on as it came.</summary>
/// <param name="Value">For example <c>stop</c>.</param>
public readonly record struct FinishReason(string Value)
{
    /// <summary>The model ended it or a stop string matched.</summary>
    public static FinishReason Stop { get; } = new("stop");

    /// <summary>The cap or the context was reached.</summary>
    public static FinishReason Length { get; } = new("length");

    /// <summary>The model asks for a tool.</summary>
    public static FinishReason ToolCalls { get; } = new("tool_calls");

    /// <inheritdoc/>
    public override string ToString() => Value;
}
