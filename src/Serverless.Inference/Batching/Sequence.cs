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
    private readonly int _end;

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

        // What was emitted has been shown; only what it left held back counts.
        foreach (var token in request.Emitted) _stops.Add(_decoder.Add(tokenizer.Bytes(token).Span), out _);

        // Never full: as many steps as tokens may come, and the end.
        Steps = Channel.CreateBounded<GenerationStep>(new BoundedChannelOptions(Math.Max(1, _end - request.Prompt.Count) + 1) { SingleReader = true, SingleWriter = true });
    }

    public Channel<GenerationStep> Steps { get; }

    public CancellationToken CancellationToken { get; }

    public List<KeyValuePage> Pages { get; } = [];

    /// <summary>Tokens whose keys and values are in the cache.</summary>
    public int Computed { get; set; }

    public int Count => _tokens.Count;

    /// <summary>Tokens still to be run before the next can be chosen.</summary>
    public int Missing => _tokens.Count - Computed;

    private int Generated => _tokens.Count - _request.Prompt.Count;

    public int this[int position] => _tokens[position];

    /// <summary>Chooses the next token from its logits and reports it. False when the generation has ended with it.</summary>
    public bool Advance(Span<float> logits)
    {
        var position = Generated;
        var (top, logProb) = (Array.Empty<TokenProbability>(), 0f);
        var raw = _request.TopLogProbs >= 0 ? logits.ToArray() : null;
        var token = Sampler.Next(logits, _request.Sampling, CollectionsMarshal.AsSpan(_tokens)[_request.Prompt.Count..], _request.Seed, position);
        if (raw is not null) top = Sampler.Top(raw, token, _request.TopLogProbs, out logProb);

        _tokens.Add(token);
        var ended = _tokenizer.EndTokens.Contains(token) && !_request.IgnoreEnd;
        var text = _stops.Add(_decoder.Add(_tokenizer.Bytes(token).Span), out var stopped);
        GenerationFinish? finish = ended || stopped ? GenerationFinish.Stop : _tokens.Count >= _end ? GenerationFinish.Length : null;
        if (finish is not null && !stopped)
        {
            text += _stops.Add(_decoder.Flush(), out stopped);
            if (!stopped) text += _stops.Flush();
        }

        Steps.Writer.TryWrite(new GenerationStep(position, token, text, finish is null ? HeldBack() : default, logProb, top, finish));
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
}
