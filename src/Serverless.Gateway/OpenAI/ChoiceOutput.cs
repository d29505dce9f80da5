using System.Text;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>One choice as far as its events have been read: where it is, and, for an answer in one piece, its text. Not thread-safe.</summary>
internal sealed class ChoiceOutput(int index)
{
    private StringBuilder? _text;
    private List<TokenLogProb>? _logProbs;

    public int Index { get; } = index;

    /// <summary>Tokens read so far: where the next chunk must begin.</summary>
    public int Tokens { get; private set; }

    /// <summary>UTF-16 units of text shown so far: <c>text_offset</c> of a completion counts them.</summary>
    public int Shown { get; set; }

    public bool Opened { get; set; }

    public FinishReason? Finish { get; private set; }

    public string Text => _text?.ToString() ?? "";

    public IReadOnlyList<TokenLogProb> LogProbs => _logProbs ?? (IReadOnlyList<TokenLogProb>)[];

    /// <summary>Takes note of a chunk; false if it does not follow what came before: a token is missing, repeated, or comes after the end.</summary>
    public bool TryAdvance(ChoiceChunk chunk)
    {
        if (Finish is not null || chunk.Position != Tokens) return false;

        Tokens += chunk.TokenIds.Count;
        Finish = chunk.Finish;
        return true;
    }

    /// <summary>Keeps the text of a chunk, for an answer in one piece.</summary>
    public void Keep(ChoiceChunk chunk)
    {
        if (chunk.Text.Length > 0) (_text ??= new StringBuilder()).Append(chunk.Text);
        if (chunk.LogProbs.Count > 0) (_logProbs ??= []).AddRange(chunk.LogProbs);
    }
}
