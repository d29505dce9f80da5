using Serverless.Inference.Models;

namespace Serverless.Inference.Sampling;

/// <summary>Chooses tokens from logits. Pure: a function of the logits, what was generated before, the seed and the position.</summary>
internal static class Sampler
{
    /// <summary>A token this much below the most probable one (in units of the temperature) is as good as impossible: e^−30 is 10^−13.</summary>
    private const double Negligible = 30;

    /// <summary>The next token. <paramref name="logits"/> are used as scratch.</summary>
    /// <param name="logits">One for each token of the vocabulary.</param>
    /// <param name="options">How.</param>
    /// <param name="generated">The tokens generated before, for penalties.</param>
    /// <param name="seed">The request's seed.</param>
    /// <param name="position">Place of the token in the output, from 0.</param>
    /// <exception cref="ModelException">No logit is a number.</exception>
    public static int Next(Span<float> logits, SamplingOptions options, ReadOnlySpan<int> generated, ulong seed, int position)
    {
        if (options.Adjusts) Adjust(logits, options, generated);

        var best = IndexOfMax(logits);
        if (!float.IsFinite(logits[best])) throw new ModelException($"The model's numbers for token {position} of the output are no numbers; its weights are damaged: download or convert the file again.");

        return options.Temperature <= 0 || options.TopK == 1 ? best : Draw(logits, best, options, CounterRandom.Uniform(seed, position));
    }

    /// <summary>Log-probability of a token, and the most probable tokens, of the logits as the model gave them.</summary>
    public static TokenProbability[] Top(ReadOnlySpan<float> logits, int chosen, int count, out float logProb)
    {
        var max = logits[IndexOfMax(logits)];
        var sum = 0.0;
        foreach (var logit in logits) sum += Math.Exp(logit - max);
        var total = max + Math.Log(sum);
        logProb = (float)(logits[chosen] - total);

        var top = new PriorityQueue<int, (float, int)>(count + 1);
        for (var token = 0; token < logits.Length && count > 0; token++)
        {
            if (top.Count < count) top.Enqueue(token, (logits[token], -token));
            else if (top.TryPeek(out _, out var least) && logits[token] > least.Item1) top.EnqueueDequeue(token, (logits[token], -token));
        }

        var result = new TokenProbability[top.Count];
        for (var i = result.Length - 1; i >= 0; i--)
        {
            var token = top.Dequeue();
            result[i] = new TokenProbability(token, (float)(logits[token] - total));
        }

        return result;
    }

    private static void Adjust(Span<float> logits, SamplingOptions options, ReadOnlySpan<int> generated)
    {
        foreach (var (token, bias) in options.LogitBias)
        {
            if ((uint)token < (uint)logits.Length) logits[token] += bias;
        }

        if (options is { PresencePenalty: 0, FrequencyPenalty: 0 }) return;

        var seen = new HashSet<int>();
        foreach (var token in generated)
        {
            logits[token] -= (float)(options.FrequencyPenalty + (seen.Add(token) ? options.PresencePenalty : 0));
        }
    }

    private static int Draw(ReadOnlySpan<float> logits, int best, SamplingOptions options, double uniform)
    {
        var max = logits[best];
        var floor = Math.Max(max - (Negligible * options.Temperature), options.MinP > 0 ? max + (Math.Log(options.MinP) * options.Temperature) : double.NegativeInfinity);
        var candidates = new List<(double Weight, int Token)>();
        for (var token = 0; token < logits.Length; token++)
        {
            if (logits[token] >= floor) candidates.Add((Math.Exp((logits[token] - max) / options.Temperature), token));
        }

        if (options.TopK > 0 || options.TopP < 1) Cut(candidates, options);

        var total = candidates.Sum(candidate => candidate.Weight);
        var left = uniform * total;
        foreach (var (weight, token) in candidates)
        {
            if ((left -= weight) < 0) return token;
        }

        return candidates[^1].Token;
    }

    /// <summary>Keeps the most probable, in order; of equals the lower token comes first.</summary>
    private static void Cut(List<(double Weight, int Token)> candidates, SamplingOptions options)
    {
        candidates.Sort((left, right) => right.Weight != left.Weight ? right.Weight.CompareTo(left.Weight) : left.Token.CompareTo(right.Token));
        if (options.TopK > 0 && options.TopK < candidates.Count) candidates.RemoveRange(options.TopK, candidates.Count - options.TopK);
        if (options.TopP >= 1) return;

        var wanted = candidates.Sum(candidate => candidate.Weight) * options.TopP;
        var kept = 0;
        for (var sum = 0.0; kept < candidates.Count && (kept == 0 || sum < wanted); kept++) sum += candidates[kept].Weight;
        candidates.RemoveRange(kept, candidates.Count - kept);
    }

    private static int IndexOfMax(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[best]) best = i;
        }

        return best;
    }
}
