using System.Runtime.InteropServices;
using Serverless.Inference.Models;

namespace Serverless.Inference.Sampling;

/// <summary>
/// Chooses tokens from logits. Pure: a function of the logits, the options, a seed and a place. Probabilities are whole numbers, so that their sums, and with them what is drawn, do
/// not depend on the order in which they are taken; nothing is allocated.
/// </summary>
internal static class Sampler
{
    private const double LeastTemperature = 1e-6;

    /// <summary>The next token.</summary>
    /// <param name="logits">One for each token of the vocabulary; they stay as they are.</param>
    /// <param name="penalties">The sequence's.</param>
    /// <param name="text">Prompt and output so far, for penalties.</param>
    /// <param name="options">How.</param>
    /// <param name="seed">The request's seed.</param>
    /// <param name="position">Place of the token in the output, from 0.</param>
    /// <param name="scratch">The thread's.</param>
    /// <exception cref="ModelException">A logit is no number.</exception>
    public static int Next(ReadOnlySpan<float> logits, Penalties penalties, ReadOnlySpan<int> text, SamplingOptions options, ulong seed, int position, SamplingScratch scratch)
    {
        if (!penalties.IsNone)
        {
            logits.CopyTo(scratch.Logits);
            penalties.Apply(scratch.Logits, text, scratch);
            logits = scratch.Logits;
        }

        var max = VectorExp.Max(logits);
        if (!float.IsFinite(max)) throw new ModelException($"The model's numbers for token {position} of the output are no numbers; its weights are damaged: download or convert the file again.");

        return options.Temperature <= 0 || options.TopK == 1 ? VectorExp.IndexOf(logits, max) : Draw(logits, max, options, CounterRandom.Uniform(seed, position), scratch);
    }

    /// <summary>Log-probability of a token, and the most probable tokens, of the logits as the model gave them.</summary>
    public static TokenProbability[] Top(ReadOnlySpan<float> logits, int chosen, int count, SamplingScratch scratch, out float logProb)
    {
        var total = VectorExp.LogSum(logits, VectorExp.Max(logits));
        logProb = (float)(logits[chosen] - total);
        if (count <= 0) return [];

        var keys = scratch.Keys.AsSpan(0, TopSelection.Collect(MemoryMarshal.Cast<float, int>(logits), int.MinValue, count, scratch.Keys));
        keys.Sort();
        var top = new TokenProbability[keys.Length];
        for (var i = 0; i < top.Length; i++)
        {
            var token = TopSelection.Token(keys[i]);
            top[i] = new TokenProbability(token, (float)(logits[token] - total));
        }

        return top;
    }

    private static int Draw(ReadOnlySpan<float> logits, float max, SamplingOptions options, double uniform, SamplingScratch scratch)
    {
        var least = options.MinP > 0 ? Math.Clamp((int)Math.Ceiling(options.MinP * VectorExp.One), 1, VectorExp.One) : 1;
        var inverse = (float)(1 / Math.Max(options.Temperature, LeastTemperature));
        var weights = scratch.Weights;
        var total = VectorExp.Weigh(logits, weights, max, inverse, least, scratch.Blocks);
        if (options is { TopK: <= 0, TopP: >= 1, TypicalP: >= 1 }) return InOrder(weights, scratch.Blocks, (long)(uniform * total));

        var keys = scratch.Keys.AsSpan(0, Candidates(weights, total, options, scratch.Keys));
        var mass = options.TopK > 0 ? TopSelection.Mass(keys, default) : total;
        if (options.TypicalP < 1) keys = keys[..CutTypical(keys, weights, logits, max, inverse, options.TypicalP, ref mass)];
        if (options.TopP < 1) keys = keys[..TopSelection.Cut(keys, default, int.MaxValue, Wanted(options.TopP, mass), out mass)];

        // The first, from the most probable on, with which the sum is above the number that was drawn.
        var at = TopSelection.Cut(keys, default, int.MaxValue, (long)(uniform * mass) + 1, out _);
        return TopSelection.Token(keys[at - 1]);
    }

    /// <summary>All that may be drawn; of a top-p alone not what lies in the part that is cut off anyway.</summary>
    private static int Candidates(ReadOnlySpan<int> weights, long total, SamplingOptions options, Span<ulong> keys)
    {
        if (options.TopK > 0) return TopSelection.Collect(weights, 1, options.TopK, keys);

        var least = options.TypicalP < 1 ? 1 : TopSelection.Threshold(weights, total - Wanted(options.TopP, total));
        return TopSelection.Collect(weights, least, int.MaxValue, keys);
    }

    private static long Wanted(double share, long mass) => Math.Clamp((long)Math.Ceiling(share * mass), 1, mass);

    private static int InOrder(ReadOnlySpan<int> weights, ReadOnlySpan<long> blocks, long drawn)
    {
        var block = 0;
        for (; drawn >= blocks[block]; block++) drawn -= blocks[block];
        var token = block * VectorExp.Block;
        for (; drawn >= weights[token]; token++) drawn -= weights[token];
        return token;
    }

    /// <summary>Keeps the tokens whose surprise, −ln p, is nearest to what is expected of it.</summary>
    private static int CutTypical(Span<ulong> keys, ReadOnlySpan<int> weights, ReadOnlySpan<float> logits, float max, float inverse, double share, ref long mass)
    {
        var all = PortableMath.Log((double)mass / VectorExp.One);
        var sum = 0L; // whole numbers: the order of the keys must not matter
        foreach (var key in keys)
        {
            var token = TopSelection.Token(key);
            sum += (long)(weights[token] * (all - ((logits[token] - max) * inverse)));
        }

        var expected = (double)sum / mass;
        foreach (ref var key in keys)
        {
            var token = TopSelection.Token(key);
            var distance = (float)Math.Abs(all - ((logits[token] - max) * inverse) - expected);
            key = TopSelection.Key(int.MaxValue - BitConverter.SingleToInt32Bits(distance), token);
        }

        var kept = TopSelection.Cut(keys, weights, int.MaxValue, Wanted(share, mass), out mass);
        foreach (ref var key in keys[..kept]) key = TopSelection.Key(weights[TopSelection.Token(key)], TopSelection.Token(key));
        return kept;
    }
}
