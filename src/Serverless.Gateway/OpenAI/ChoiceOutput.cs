using System.Text;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>One choice as far as its events have been read: where it is, and, for an answer in one piece, its text. Not thread-safe.</summary>
internal sealed class ChoiceOutput(int index)
{
    private StringBuilder? _text;
    private StringBuilder? _reasoning;
    private List<ToolCallFragment>? _calls;
    private List<TokenLogProb>? _logProbs;
    private long _sequence;

    public int Index { get; } = index;

    /// <summary>Tokens read so far: where the next chunk must begin.</summary>
    public int Tokens { get; private set; }

    /// <summary>UTF-16 units of text shown so far: <c>text_offset</c> of a completion counts them.</summary>
    public int Shown { get; set; }

    public bool Opened { get; set; }

    public FinishReason? Finish { get; private set; }

    public string Text => _text?.ToString() ?? "";

    public string Reasoning => _reasoning?.ToString() ?? "";

    /// <summary>The calls of tools, each whole, in order of their indices.</summary>
    public IReadOnlyList<ToolCallFragment> ToolCalls =>
        _calls is null ? [] : [.. _calls.GroupBy(piece => piece.Index).OrderBy(call => call.Key).Select(call => new ToolCallFragment(
            call.Key, string.Concat(call.Select(piece => piece.Id)), string.Concat(call.Select(piece => piece.Name)), string.Concat(call.Select(piece => piece.Arguments))))];

    public IReadOnlyList<TokenLogProb> LogProbs => _logProbs ?? (IReadOnlyList<TokenLogProb>)[];

    /// <summary>Takes note of a chunk, by the positions of its tokens: a store that lost data may give again what was read.</summary>
    public ChunkPlace Place(long sequence, ChoiceChunk chunk)
    {
        var again = sequence <= _sequence;
        _sequence = Math.Max(_sequence, sequence);
        var count = chunk.TokenIds.Count;
        if (chunk.Position + count < Tokens || (chunk.Position + count == Tokens && count > 0)) return ChunkPlace.Known;
        if (count == 0 && again && (chunk.Finish is null || Finish is not null)) return ChunkPlace.Known;
        if (chunk.Position != Tokens || Finish is not null) return ChunkPlace.Broken;

        Tokens += count;
        Finish = chunk.Finish;
        return ChunkPlace.Next;
    }

    /// <summary>Keeps the text of a chunk, for an answer in one piece.</summary>
    public void Keep(ChoiceChunk chunk)
    {
        if (chunk.Text.Length > 0) (_text ??= new StringBuilder()).Append(chunk.Text);
        if (chunk.Reasoning.Length > 0) (_reasoning ??= new StringBuilder()).Append(chunk.Reasoning);
        if (chunk.ToolCalls.Count > 0) (_calls ??= []).AddRange(chunk.ToolCalls);
        if (chunk.LogProbs.Count > 0) (_logProbs ??= []).AddRange(chunk.LogProbs);
    }
}
