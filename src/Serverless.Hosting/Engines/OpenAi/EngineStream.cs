using System.Globalization;
using System.Text;
using Serverless.Inference.Batching;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>
/// One choice's output as the log has it, made of what an engine says: tokens are counted, positions go on from what is logged, an end is told once. Stop strings are found here, so that they end an
/// answer in the same place whatever engine began it. Tokens whose text the engine holds back are logged with that text, so that what is logged is whole wherever it breaks off. An engine that begins
/// again instead of going on must say the same again, which is passed over. Not thread-safe.
/// </summary>
internal sealed class EngineStream
{
    private const int MostTokens = 4096;

    /// <summary>What its count may be off by: an engine may count the end, and text may be other tokens where it goes on.</summary>
    public const int Slack = 16;

    private readonly int _choice;
    private readonly int _most;
    private readonly string _logged;
    private readonly StopMatcher _stops;
    private readonly bool _beginsAgain;
    private readonly List<int> _tokens = [];
    private readonly List<TokenLogProb> _logProbs = [];
    private readonly int _known;
    private int _heard;
    private int _passedOver;
    private int _generated;

    /// <param name="choice">Its index in the request.</param>
    /// <param name="logged">What earlier attempts logged of it.</param>
    /// <param name="most">Tokens that it may come to.</param>
    /// <param name="continues">Whether the engine goes on from that; else it begins again.</param>
    /// <param name="stop">What ends it, and is not said.</param>
    public EngineStream(int choice, IReadOnlyList<ChoiceChunk> logged, int most, bool continues, IReadOnlyList<string> stop)
    {
        (_choice, _most) = (choice, most);
        var mine = logged.Where(chunk => chunk.Choice == choice).ToList();
        HasEnded = mine.Exists(chunk => chunk.Finish is not null);
        Tokens = mine.Sum(chunk => chunk.TokenIds.Count);
        _logged = string.Concat(mine.Select(chunk => chunk.Text));
        _beginsAgain = !continues;
        IsUnrepeatable = !HasEnded && mine.Exists(chunk => chunk.Reasoning.Length > 0 || chunk.ToolCalls.Count > 0);
        EmittedTokens = _beginsAgain ? 0 : Tokens;
        _stops = new StopMatcher(stop);

        // A character that is half there is made anew.
        var held = mine.Count > 0 ? Encoding.UTF8.GetString(mine[^1].HeldBack.Span) : "";
        if (held.Contains('\uFFFD', StringComparison.Ordinal)) held = "";
        if (_beginsAgain)
        {
            _known = _logged.Length + held.Length;
            return;
        }

        Emitted = _logged + held;
        _stops.Add(held, out _);
    }

    /// <summary>Whether it ended, now or in an earlier attempt.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Whether a stop string ended it: the engine does not know, and is to be told.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Whether it cannot be gone on with, whichever way: thoughts or calls of tools were begun, of which an engine takes no beginning.</summary>
    public bool IsUnrepeatable { get; }

    /// <summary>Tokens so far, logged and new.</summary>
    public int Tokens { get; private set; }

    /// <summary>What the engine is to go on from; empty: it begins.</summary>
    public string Emitted { get; } = "";

    /// <summary>Tokens of that.</summary>
    public int EmittedTokens { get; }

    /// <summary>The chunk for what came; null: there is nothing to log yet.</summary>
    /// <param name="delta">What came.</param>
    /// <param name="finish">How it ended; null: it goes on.</param>
    /// <param name="generated">Tokens that the engine has generated in this attempt, where it says so.</param>
    /// <exception cref="EngineAnswerException">It begins again otherwise than before, or says more than it may.</exception>
    public ChoiceChunk? Take(EngineDelta delta, FinishReason? finish, int? generated)
    {
        if (HasEnded) return null;

        Count(delta, generated);
        var said = _stops.Add(delta.Text, out var stopped);
        if (stopped) (IsStopped, finish) = (true, FinishReason.Stop);
        else if (finish is not null) said += _stops.Flush();
        var text = PassOver(said);
        _heard += delta.Text.Length;
        var isKnown = _known > 0 && _heard <= _known;
        if (isKnown) Forget();
        if ((delta.Text.Length == 0 || isKnown) && delta.Reasoning.Length == 0 && delta.ToolCalls.Count == 0 && finish is null) return null;

        HasEnded = finish is not null;
        var chunk = new ChoiceChunk(_choice, Tokens, [.. _tokens], text)
        {
            Reasoning = delta.Reasoning,
            ToolCalls = delta.ToolCalls,
            HeldBack = Encoding.UTF8.GetBytes(_stops.Held),
            LogProbs = _logProbs.Count == _tokens.Count ? [.. _logProbs] : [],
            Finish = finish,
        };
        Tokens += _tokens.Count;
        if (Tokens > _most + Slack) throw new EngineAnswerException(string.Create(CultureInfo.InvariantCulture, $"it says more than the {_most} tokens that it was asked for"));
        Forget();
        return chunk;
    }

    private void Count(EngineDelta delta, int? generated)
    {
        var before = _tokens.Count;
        if (delta.TokenIds is { } ids) _tokens.AddRange(ids);
        else if (generated > _generated) _tokens.AddRange(Enumerable.Repeat(ChoiceChunk.UnknownToken, Math.Min(generated.Value - _generated, MostTokens)));
        else if (generated is null && delta.HasOutput) _tokens.Add(ChoiceChunk.UnknownToken);
        _generated = Math.Max(_generated, generated ?? (_generated + _tokens.Count - before));
        _logProbs.AddRange(delta.LogProbs);
    }

    /// <summary>Of an output that is begun again only what is beyond the logged one is new.</summary>
    private string PassOver(string text)
    {
        if (!_beginsAgain || _passedOver == _logged.Length) return text;

        var again = Math.Min(text.Length, _logged.Length - _passedOver);
        if (!_logged.AsSpan(_passedOver, again).SequenceEqual(text.AsSpan(0, again))) throw new EngineAnswerException("its output, begun again, is another than what its client has seen");
        _passedOver += again;
        return text[again..];
    }

    private void Forget()
    {
        _tokens.Clear();
        _logProbs.Clear();
    }
}
