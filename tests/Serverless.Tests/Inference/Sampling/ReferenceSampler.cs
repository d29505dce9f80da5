using Serverless.Inference.Models;
using Serverless.Inference.Sampling;

namespace Serverless.Tests.Inference.Sampling;

/// <summary>The sampler as one would write it first: every logit one by one, everything sorted. Weights are the whole numbers that the product takes, from its own exponential.</summary>
internal static class ReferenceSampler
{
    public static int Next(float[] logits, SamplingOptions options, ulong seed, int position)
    {
        var max = logits.Max();
        if (options.Temperature <= 0 || options.TopK == 1) return Array.IndexOf(logits, max);

        var inverse = (float)(1 / options.Temperature);
        var kept = logits.Select((logit, token) => (Token: token, Weight: Weight((logit - max) * inverse)))
            .Where(one => one.Weight > 0 && (options.MinP <= 0 || one.Weight >= options.MinP * (1 << 30))).ToList();
        if (options is { TopK: <= 0, TopP: >= 1, TypicalP: >= 1 }) return Drawn(kept, seed, position);

        if (options.TopK > 0) kept = [.. Sorted(kept).Take(options.TopK)];
        if (options.TypicalP < 1)
        {
            var all = kept.Sum(one => one.Weight);
            double Surprise((int Token, long Weight) one) => PortableMath.Log((double)all / VectorExp.One) - ((logits[one.Token] - max) * inverse);
            var expected = (double)kept.Sum(one => (long)(one.Weight * Surprise(one))) / all;
            kept = Fewest([.. kept.OrderBy(one => (float)Math.Abs(Surprise(one) - expected)).ThenBy(one => one.Token)], options.TypicalP);
        }

        kept = Sorted(kept);
        if (options.TopP < 1) kept = Fewest(kept, options.TopP);
        return Drawn(kept, seed, position);
    }

    /// <summary>Logits after bias and penalties; a repetition is sought at every place before, token by token.</summary>
    public static float[] Adjusted(float[] logits, SamplingOptions options, int[] prompt, int[] output, IReadOnlySet<int> breakers)
    {
        float[] changed = [.. logits];
        foreach (var (token, bias) in options.LogitBias) changed[token] += bias;
        if (options.RepetitionPenalty != 1)
        {
            foreach (var token in prompt.Concat(output).Distinct()) changed[token] *= (float)(changed[token] > 0 ? 1 / options.RepetitionPenalty : options.RepetitionPenalty);
        }

        foreach (var times in output.GroupBy(token => token)) changed[times.Key] -= (float)((options.FrequencyPenalty * times.Count()) + options.PresencePenalty);
        if (options.Dry is not { Multiplier: > 0 } dry) return changed;

        int[] text = [.. prompt, .. output];
        if (dry.LastTokens >= 0) text = [.. text.TakeLast(dry.LastTokens)];
        var longest = new Dictionary<int, int>();
        for (var next = 1; next < text.Length; next++)
        {
            var length = 0;
            while (length < next && text[next - 1 - length] == text[^(length + 1)] && !breakers.Contains(text[^(length + 1)])) length++;
            if (length >= dry.AllowedLength) longest[text[next]] = Math.Max(longest.GetValueOrDefault(text[next]), length);
        }

        foreach (var (token, length) in longest) changed[token] -= (float)(dry.Multiplier * Math.Pow(dry.Base, length - dry.AllowedLength));
        return changed;
    }

    private static long Weight(float exponent) =>
        (long)MathF.Round(VectorExp.Exp(System.Runtime.Intrinsics.Vector256.Create(exponent))[0] * (1 << 30), MidpointRounding.ToEven);

    private static List<(int Token, long Weight)> Sorted(IEnumerable<(int Token, long Weight)> of) => [.. of.OrderByDescending(one => one.Weight).ThenBy(one => one.Token)];

    private static List<(int Token, long Weight)> Fewest(List<(int Token, long Weight)> of, double share)
    {
        var (wanted, sum, count) = (Math.Max(1, (long)Math.Ceiling(share * of.Sum(one => one.Weight))), 0L, 0);
        while (count < of.Count && sum < wanted) sum += of[count++].Weight;
        return of[..count];
    }

    private static int Drawn(List<(int Token, long Weight)> of, ulong seed, int position)
    {
        var left = (long)(CounterRandom.Uniform(seed, position) * of.Sum(one => one.Weight));
        return of.First(one => (left -= one.Weight) < 0).Token;
    }
}
