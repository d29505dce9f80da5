using Serverless.Inference.Models;

namespace Serverless.Inference.Sampling;

/// <summary>What changes a sequence's logits before a token is chosen: bias, and penalties by the tokens before. One for each sequence; told of every token.</summary>
internal sealed class Penalties
{
    /// <summary>ln of the largest penalty.</summary>
    private const double MostGrowth = 80;

    private readonly SamplingOptions _options;
    private readonly KeyValuePair<int, float>[] _bias;
    private readonly Dictionary<int, int>? _generated;
    private readonly HashSet<int>? _seen;
    private readonly IReadOnlySet<int> _breakers;

    /// <param name="options">How.</param>
    /// <param name="prompt">The tokens of the prompt.</param>
    /// <param name="breakers">Tokens that end a repetition.</param>
    public Penalties(SamplingOptions options, ReadOnlySpan<int> prompt, IReadOnlySet<int>? breakers = null)
    {
        _options = options;
        _bias = [.. options.LogitBias];
        _breakers = breakers ?? new HashSet<int>();
        if (options is not { PresencePenalty: 0, FrequencyPenalty: 0 }) _generated = [];
        if (options.RepetitionPenalty == 1) return;

        _seen = [];
        foreach (var token in prompt) _seen.Add(token);
    }

    /// <summary>Whether logits stay as they are.</summary>
    public bool IsNone => _bias.Length == 0 && _generated is null && _seen is null && _options.Dry is not { Multiplier: > 0 };

    /// <summary>A token of the output.</summary>
    public void Add(int token)
    {
        _seen?.Add(token);
        if (_generated is not null) _generated[token] = _generated.GetValueOrDefault(token) + 1;
    }

    /// <summary>Changes the logits of the token that comes after <paramref name="text"/>, prompt and output.</summary>
    public void Apply(Span<float> logits, ReadOnlySpan<int> text, SamplingScratch scratch)
    {
        foreach (var (token, bias) in _bias)
        {
            if ((uint)token < (uint)logits.Length) logits[token] += bias;
        }

        if (_seen is not null)
        {
            var (divided, multiplied) = ((float)(1 / _options.RepetitionPenalty), (float)_options.RepetitionPenalty);
            foreach (var token in _seen) logits[token] *= logits[token] > 0 ? divided : multiplied;
        }

        if (_generated is not null)
        {
            foreach (var (token, times) in _generated) logits[token] -= (float)((_options.FrequencyPenalty * times) + _options.PresencePenalty);
        }

        if (_options.Dry is { Multiplier: > 0 } dry) ApplyDry(dry, logits, text, scratch);
    }

    /// <summary>For each place before at which the last tokens stood already: how many of them did, by the Z function of the text backwards; the token that followed there is the one.</summary>
    private void ApplyDry(DryOptions dry, Span<float> logits, ReadOnlySpan<int> text, SamplingScratch scratch)
    {
        if (dry.LastTokens >= 0 && dry.LastTokens < text.Length) text = text[^dry.LastTokens..];
        var limit = 0;
        while (limit < text.Length && !_breakers.Contains(text[^(limit + 1)])) limit++;
        if (limit < dry.AllowedLength || limit == 0) return;

        var repetitions = scratch.Repetitions;
        repetitions.Clear();
        var matches = scratch.Matches(text.Length);
        var (from, to) = (0, 0);
        for (var back = 1; back < text.Length; back++)
        {
            var length = back < to ? Math.Min(to - back, matches[back - from]) : 0;
            while (back + length < text.Length && text[^(length + 1)] == text[^(back + length + 1)]) length++;
            matches[back] = length;
            if (back + length > to) (from, to) = (back, back + length);

            length = Math.Min(length, limit);
            var next = text[^back];
            if (length >= Math.Max(1, dry.AllowedLength) && length > repetitions.GetValueOrDefault(next)) repetitions[next] = length;
        }

        var growth = dry.Base > 1 ? PortableMath.Log(dry.Base) : 0;
        foreach (var (token, length) in repetitions) logits[token] -= (float)(dry.Multiplier * PortableMath.Exp(Math.Min(MostGrowth, growth * (length - dry.AllowedLength))));
    }
}
