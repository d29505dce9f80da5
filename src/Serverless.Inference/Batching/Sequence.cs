using System.Runtime.InteropServices;
using System.Text;
using System.Threading.Channels;
using Serverless.Inference.Models;
using Serverless.Inference.Sampling;
using Serverless.Inference.Tokenizers;

namespace Serverless.Inference.Batching;

/// <summary>A generation in the engine: its tokens, how many of them are in the KV cache, and where its steps go. Used by the engine's thread alone.</summary>
internal sealed class Sequence
{
    private readonly GenerationRequest _request;
    private readonly Tokenizer _tokenizer;
    private readonly TokenDecoder _decoder = new();
    private readonly StopMatcher _stops;
    private readonly List<int> _tokens;
    private readonly Penalties _penalties;
    private readonly int _end;
    private readonly ScoredToken[] _scores;
    private Choice _choice;
    private int? _cached;
    private int _scored;

    /// <param name="request">What to generate.</param>
    /// <param name="tokenizer">Of the model.</param>
    /// <param name="context">Longest sequence.</param>
    /// <param name="cancellationToken">Ends it within a step.</param>
    public Sequence(GenerationRequest request, Tokenizer tokenizer, int context, CancellationToken cancellationToken)
    {
        (_request, _tokenizer, CancellationToken) = (request, tokenizer, cancellationToken);
        _tokens = [.. request.Prompt, .. request.Emitted];
        _end = Math.Min(context, request.Prompt.Count + request.MaxTokens);
        _stops = new StopMatcher(request.Stop);

        // With the first token they have been reported.
        _scores = request.PromptLogProbs >= 0 && request.Emitted.Count == 0 ? new ScoredToken[request.Prompt.Count] : [];
        if (_scores.Length > 0) _scores[0] = new ScoredToken(_tokens[0], float.NaN, []);
        _penalties = new Penalties(request.Sampling, CollectionsMarshal.AsSpan(_tokens)[..request.Prompt.Count], request.Sampling.Dry is { Multiplier: > 0 } dry ? DryBreakers.Of(tokenizer, dry) : null);

        // What was emitted has been shown; only what it left held back counts.
        foreach (var token in request.Emitted)
        {
            _penalties.Add(token);
            _stops.Add(_decoder.Add(tokenizer.Bytes(token).Span), out _);
        }

        // Never full: as many steps as tokens may come, and the end.
        Steps = Channel.CreateBounded<GenerationStep>(new BoundedChannelOptions(Math.Max(1, _end - request.Prompt.Count) + 1) { SingleReader = true, SingleWriter = true });
    }

    public Channel<GenerationStep> Steps { get; }

    public CancellationToken CancellationToken { get; }

    public List<KeyValuePage> Pages { get; } = [];

    /// <summary>By lane, then who is due first.</summary>
    public static Comparison<Sequence> ByDue { get; } = static (one, other) =>
        one.Lane != other.Lane ? one.Lane.CompareTo(other.Lane) : one.Due != other.Due ? one.Due.CompareTo(other.Due) : one.Number.CompareTo(other.Number);

    /// <summary>By lane, then who came first.</summary>
    public static Comparison<Sequence> ByArrival { get; } = static (one, other) => one.Lane != other.Lane ? one.Lane.CompareTo(other.Lane) : one.Number.CompareTo(other.Number);

    /// <summary>Lower ones are served first.</summary>
    public int Lane => _request.Lane;

    /// <summary>Nobody waits for its next token.</summary>
    public bool Unattended => _request.Unattended;

    /// <summary>Whether somebody waits for its first token here.</summary>
    public bool AwaitsFirst => !Unattended && Generated == _request.Emitted.Count;

    /// <summary>When its first token should be there.</summary>
    public DateTimeOffset Due { get; set; }

    /// <summary>Whose it is: only they share its pages.</summary>
    public string Tenant => _request.Tenant;

    /// <summary>Where the pages begin that it may share (<see cref="KeyValuePool.RootOf"/>).</summary>
    public int Root { get; set; }

    /// <summary>How manieth it came.</summary>
    public long Number { get; set; }

    /// <summary>Tokens whose keys and values are in the cache.</summary>
    public int Computed { get; set; }

    /// <summary>Full pages that others may share.</summary>
    public int Sealed { get; set; }

    /// <summary>Prompt and output so far.</summary>
    public ReadOnlySpan<int> Text => CollectionsMarshal.AsSpan(_tokens);

    /// <summary>What of it need not be run if it is in the cache: all but the last token, and what is still to be scored.</summary>
    public ReadOnlySpan<int> Reusable => _scores.Length > 0 ? Text[..Math.Min(_scored, Count - 1)] : Text[..^1];

    /// <summary>Until when anybody wants it.</summary>
    public DateTimeOffset Deadline => _request.Deadline;

    public int Count => _tokens.Count;

    /// <summary>Tokens still to be run before the next can be chosen.</summary>
    public int Missing => _tokens.Count - Computed;

    private int Generated => _tokens.Count - _request.Prompt.Count;

    public int this[int position] => _tokens[position];

    /// <summary>Runs from here on: so many tokens are in the cache already. What it found there when it first began counts as cached.</summary>
    public void Begin(int computed)
    {
        Computed = computed;
        _cached ??= Math.Min(computed, _request.Prompt.Count);
    }

    /// <summary>Whether the probability of the token after that position is asked for.</summary>
    public bool Scores(int position) => position + 1 < _scores.Length;

    /// <summary>Takes the logits of one position; called by any thread of a pass, each position once.</summary>
    public void Read(int position, ReadOnlySpan<float> logits, SamplingScratch scratch)
    {
        if (!Scores(position))
        {
            Choose(logits, scratch);
            return;
        }

        var token = _tokens[position + 1];
        var top = Sampler.Top(logits, token, _request.PromptLogProbs, scratch, out var logProb);
        _scores[position + 1] = new ScoredToken(token, logProb, top);
    }

    /// <summary>A pass is over: what it has computed is scored.</summary>
    public void EndPass() => _scored = Math.Min(Computed, Math.Max(0, _scores.Length - 1));

    /// <summary>As cancelled, never as ended: its reader may see the end of the steps before it sees the cancellation, and would take what there is for the whole answer.</summary>
    public void Drop() => Steps.Writer.TryComplete(new OperationCanceledException(CancellationToken));

    /// <summary>Chooses the next token from its logits, for <see cref="Advance"/> after the pass.</summary>
    private void Choose(ReadOnlySpan<float> logits, SamplingScratch scratch)
    {
        try
        {
            var token = Sampler.Next(logits, _penalties, Text, _request.Sampling, _request.Seed, Generated, scratch);
            var (top, logProb) = (Array.Empty<TokenProbability>(), 0f);
            if (_request.TopLogProbs >= 0) top = Sampler.Top(logits, token, _request.TopLogProbs, scratch, out logProb);
            _choice = new Choice(token, logProb, top, null);
        }
        catch (ModelException fault)
        {
            _choice = new Choice(0, 0, [], fault);
        }
    }

    /// <summary>Takes the chosen token and reports it. False when the generation has ended with it, or because the model's numbers are none.</summary>
    public bool Advance()
    {
        var (token, logProb, top, fault) = _choice;
        if (fault is not null)
        {
            Steps.Writer.TryComplete(fault);
            return false;
        }

        var position = Generated;
        _penalties.Add(token);
        _tokens.Add(token);
        var ended = _tokenizer.EndTokens.Contains(token) && !_request.IgnoreEnd;
        var text = _stops.Add(_decoder.Add(_tokenizer.Bytes(token).Span), out var stopped);
        GenerationFinish? finish = ended || stopped ? GenerationFinish.Stop : _tokens.Count >= _end ? GenerationFinish.Length : null;
        if (finish is not null && !stopped)
        {
            text += _stops.Add(_decoder.Flush(), out stopped);
            if (!stopped) text += _stops.Flush();
        }

        Steps.Writer.TryWrite(new GenerationStep(position, token, text, finish is null ? HeldBack() : default, logProb, top, finish) { Cached = _cached ?? 0, Prompt = position == 0 ? _scores : [] });
        if (finish is null) return true;

        Steps.Writer.TryComplete();
        return false;
    }

    private ReadOnlyMemory<byte> HeldBack()
    {
        var bytes = _decoder.HeldBack;
        if (_stops.Held.Length == 0) return bytes;
        return new ReadOnlyMemory<byte>([.. Encoding.UTF8.GetBytes(_stops.Held), .. bytes.Span]);
    }

    private readonly record struct Choice(int Token, float LogProb, TokenProbability[] Top, ModelException? Fault);
}
