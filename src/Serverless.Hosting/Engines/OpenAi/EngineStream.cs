using System.Text;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>
/// One choice's output as the log has it, made of what an engine says: tokens are counted, positions go on from what is logged, an end is told once. An engine that begins again instead of going on
/// must say the same again, which is passed over. Not thread-safe.
/// </summary>
internal sealed class EngineStream
{
    private readonly int _choice;
    private readonly string _logged;
    private readonly bool _beginsAgain;
    private int _position;
    private int _passedOver;

    /// <param name="choice">Its index in the request.</param>
    /// <param name="logged">What earlier attempts logged of it.</param>
    /// <param name="continues">Whether the engine goes on from that; else it begins again.</param>
    public EngineStream(int choice, IReadOnlyList<ChoiceChunk> logged, bool continues)
    {
        _choice = choice;
        var mine = logged.Where(chunk => chunk.Choice == choice).ToList();
        HasEnded = mine.Exists(chunk => chunk.Finish is not null);
        LoggedTokens = _position = mine.Sum(chunk => chunk.TokenIds.Count);
        _logged = string.Concat(mine.Select(chunk => chunk.Text));
        var isTextAlone = mine.TrueForAll(chunk => chunk.Reasoning.Length == 0 && chunk.ToolCalls.Count == 0);
        _beginsAgain = LoggedTokens > 0 && !(continues && isTextAlone);
        if (_beginsAgain && !isTextAlone) Unrepeatable = true;
    }

    /// <summary>Whether it ended in an earlier attempt.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Whether it cannot be gone on with, whichever way: thoughts or calls of tools were begun, which an engine takes no beginning of.</summary>
    public bool Unrepeatable { get; }

    /// <summary>Tokens that are logged of it.</summary>
    public int LoggedTokens { get; }

    /// <summary>Tokens so far, logged and new.</summary>
    public int Tokens => _position;

    /// <summary>What the engine is to go on from; empty: it begins.</summary>
    public string Emitted => _beginsAgain ? "" : _logged;

    /// <summary>Tokens of that.</summary>
    public int EmittedTokens => _beginsAgain ? 0 : LoggedTokens;

    /// <summary>The chunk for what came; null: there is nothing to log of it.</summary>
    /// <exception cref="EngineAnswerException">It begins again otherwise than before.</exception>
    public ChoiceChunk? Take(EngineDelta delta, FinishReason? finish)
    {
        if (HasEnded) return null;

        var text = delta.Text;
        if (_beginsAgain && _passedOver < _logged.Length)
        {
            var again = Math.Min(text.Length, _logged.Length - _passedOver);
            if (!_logged.AsSpan(_passedOver, again).SequenceEqual(text.AsSpan(0, again))) throw new EngineAnswerException("its output, begun again, is another than what its client has seen");
            _passedOver += again;
            text = text[again..];
            if (text.Length == 0 && finish is null) return null;
        }

        IReadOnlyList<int> tokens = delta.TokenIds ?? (delta.HasOutput ? [EngineTokens.Unknown] : []);
        HasEnded = finish is not null;
        if (tokens.Count == 0 && finish is null && text.Length == 0) return null;

        var chunk = new ChoiceChunk(_choice, _position, tokens, text)
        {
            Reasoning = delta.Reasoning,
            ToolCalls = delta.ToolCalls,
            LogProbs = delta.LogProbs.Count == tokens.Count ? delta.LogProbs : [],
            Finish = finish,
        };
        _position += tokens.Count;
        return chunk;
    }
}
