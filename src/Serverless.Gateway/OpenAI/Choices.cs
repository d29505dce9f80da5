using System.Buffers;
using System.Text;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>The choices of an answer, each made when first needed: their number is the client's wish, not yet work.</summary>
/// <param name="count">How many.</param>
/// <param name="next">Takes the next part of a choice, of the record of that sequence.</param>
internal sealed class Choices(int count, Action<long, ChoiceOutput, ChoiceChunk> next)
{
    private readonly ChoiceOutput?[] _outputs = new ChoiceOutput?[count];

    /// <summary>False if it does not follow what came before: the answer is then broken.</summary>
    public bool TryAppend(long sequence, RequestEvent.Chunk chunk)
    {
        foreach (var part in chunk.Choices)
        {
            if (Find(part.Choice) is not { } choice) return false;

            switch (choice.Place(sequence, part))
            {
                case ChunkPlace.Next:
                    next(sequence, choice, part);
                    break;
                case ChunkPlace.Broken:
                    return false;
                default:
                    break;
            }
        }

        return true;
    }

    /// <summary>All of them, in order.</summary>
    public IReadOnlyList<ChoiceOutput> All()
    {
        for (var i = 0; i < _outputs.Length; i++) _outputs[i] ??= new ChoiceOutput(i);
        return _outputs!;
    }

    private ChoiceOutput? Find(int index) => (uint)index < (uint)_outputs.Length ? _outputs[index] ??= new ChoiceOutput(index) : null;
}

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

/// <summary>Where a chunk belongs in what was read of its choice.</summary>
internal enum ChunkPlace
{
    /// <summary>It follows.</summary>
    Next,

    /// <summary>It was read before.</summary>
    Known,

    /// <summary>A token is missing, comes in part again, or comes after the end.</summary>
    Broken,
}

/// <summary>Collects a request's output and writes it as one object. Not thread-safe.</summary>
internal sealed class WholeOutput(AnswerShape shape)
{
    private readonly Choices _choices = new(shape.Choices, static (_, choice, part) => choice.Keep(part));

    /// <summary>False if it does not follow what came before: the answer is then broken.</summary>
    public bool TryAppend(long sequence, RequestEvent.Chunk chunk) => _choices.TryAppend(sequence, chunk);

    /// <summary>The object.</summary>
    public ReadOnlyMemory<byte> Encode(TokenUsage usage)
    {
        var body = new ArrayBufferWriter<byte>(1024);
        using (var writer = new AnswerWriter(shape, body)) writer.WriteWhole(_choices.All(), usage);
        return body.WrittenMemory;
    }
}
