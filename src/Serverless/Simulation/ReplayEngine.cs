namespace Serverless.Simulation;

/// <summary>
/// One engine with continuous batching, as a fluid: between two events (a prefill that ends, a sequence that ends, one that comes) every rate is constant, so no token is an event.
/// Prefill is chunked and first come, first served; while a prompt waits each step holds a chunk of it and one token of every running sequence.
/// </summary>
internal sealed class ReplayEngine(EngineProfile profile)
{
    private const double Smoothing = 0.2;

    private readonly Queue<ReplayRequest> _prefills = new();
    private readonly PriorityQueue<ReplayRequest, (double Tokens, long Order)> _decoding = new();
    private double _at;
    private double _headLeft; // seconds of prefill compute
    private double _tokens; // tokens per sequence since the engine began: a sequence ends when this reaches its mark
    private double _held; // KV tokens of what is prefilled or decoded
    private long _order;

    /// <summary>Requests in it.</summary>
    public int Running => _prefills.Count + _decoding.Count;

    /// <summary>KV tokens in use.</summary>
    public double KvTokens => _held;

    /// <summary>Prompt tokens in it that are not prefilled yet.</summary>
    public long WaitingPromptTokens { get; private set; }

    /// <summary>Prompt tokens per second of steps that held any, smoothed; 0 before the first: what workers measure.</summary>
    public double PrefillRate { get; private set; }

    /// <summary>Tokens per second over all sequences of steps that only decoded, smoothed; 0 before the first.</summary>
    public double DecodeRate { get; private set; }

    /// <summary>When something next ends if nothing comes; infinite when it is idle.</summary>
    public double NextEnd { get; private set; } = double.PositiveInfinity;

    /// <summary>Puts a request in.</summary>
    public void Add(ReplayRequest request, double now)
    {
        Advance(now);
        WaitingPromptTokens += request.Traced.PromptTokens;
        _prefills.Enqueue(request);
        if (_prefills.Count == 1) _headLeft = profile.PrefillSeconds(request.Traced.PromptTokens);
        Schedule();
    }

    /// <summary>Lives up to <see cref="NextEnd"/>; gives what ended there, or null when that was a prefill.</summary>
    public ReplayRequest? End(double now)
    {
        var prefilling = _prefills.Count > 0 && _at + (_headLeft / Share()) <= NextEnd + 1e-9;
        Advance(now);
        var ended = prefilling ? FirstToken(now) : Finish();
        Schedule();
        return ended;
    }

    private ReplayRequest? FirstToken(double now)
    {
        var request = _prefills.Dequeue();
        var prompt = request.Traced.PromptTokens;
        WaitingPromptTokens -= prompt;
        _held += prompt + 1;
        request.FirstTokenAt = now;
        if (_prefills.TryPeek(out var next)) _headLeft = profile.PrefillSeconds(next.Traced.PromptTokens);
        if (request.Traced.OutputTokens == 1)
        {
            _held -= prompt + 1;
            return request;
        }

        _decoding.Enqueue(request, (_tokens + request.Traced.OutputTokens - 1, _order++));
        return null;
    }

    private ReplayRequest Finish()
    {
        var request = _decoding.Dequeue();
        _held = Math.Max(0, _held - request.Traced.PromptTokens - request.Traced.OutputTokens);
        return request;
    }

    /// <summary>Seconds of one step beside a chunk: decoding adds its own compute and the reading of its cache; the weights are read for the chunk anyway.</summary>
    private double BesideChunk() => (profile.StepSecondsPerSequence * _decoding.Count) + (profile.StepSecondsPerKvToken * _held);

    private double ChunkSeconds() => profile.ChunkTokens / profile.PrefillTokensPerSecond;

    /// <summary>Share of a second that goes into the prompt at the head.</summary>
    private double Share() => ChunkSeconds() / (ChunkSeconds() + BesideChunk());

    /// <summary>Tokens per second of one sequence.</summary>
    private double Rate() => _decoding.Count == 0 ? 0
        : _prefills.Count > 0 ? 1 / (ChunkSeconds() + BesideChunk())
        : 1 / profile.DecodeStepSeconds(_decoding.Count, _held);

    private void Advance(double now)
    {
        var passed = now - _at;
        _at = now;
        if (passed <= 0 || Running == 0) return;

        Measure();
        var tokens = passed * Rate();
        if (_prefills.Count > 0) _headLeft = Math.Max(0, _headLeft - (passed * Share()));
        _tokens += tokens;
        _held += tokens * _decoding.Count;
    }

    private void Measure()
    {
        if (_prefills.TryPeek(out var head))
        {
            var prompt = head.Traced.PromptTokens;
            PrefillRate = Smooth(PrefillRate, prompt / profile.PrefillSeconds(prompt) * Share());
        }
        else
        {
            DecodeRate = Smooth(DecodeRate, _decoding.Count * Rate());
        }
    }

    private void Schedule()
    {
        NextEnd = _prefills.Count > 0 ? _at + (_headLeft / Share()) : double.PositiveInfinity;
        if (_decoding.TryPeek(out _, out var mark)) NextEnd = Math.Min(NextEnd, _at + (Math.Max(0, mark.Tokens - _tokens) / Rate()));
    }

    private static double Smooth(double old, double value) => old <= 0 ? value : old + (Smoothing * (value - old));
}
