using System.Collections.Immutable;

namespace Serverless.Scaling.Planning;

/// <summary>
/// How long a decoding step takes by its sequences: τ(n) = a + b·n, the weights read once and each sequence on top. A replica seen at 4 sequences is not judged by 4: what it does at the
/// batch it would be planned for is read off the line.
/// </summary>
internal readonly record struct DecodeCurve(double Base, double PerSequence)
{
    private const int MostSamples = 50;

    /// <summary>Where the samples leave the slope open the prior has it. It does as much for it as a spread of a tenth of the slots in one sample: a step is known to a tenth, the prior to a factor of two.</summary>
    private const double PriorWeight = 0.01;

    /// <summary>Half of the prior's step is the weights, half its sequences.</summary>
    public static DecodeCurve Of(ClassPrior prior) => new(0.5 * prior.Slots / prior.DecodeTokensPerSecond, 0.5 / prior.DecodeTokensPerSecond);

    /// <summary>
    /// The line through what was learned, by least squares; the prior's shape, scaled to the samples, holds it where they do not. Once two sizes of batch are known they are the line: one that was seen a few
    /// times holds what was guessed of it then, and a large one would turn the whole line.
    /// </summary>
    public static DecodeCurve Fit(ImmutableArray<LearnedStep> steps, ClassPrior prior)
    {
        var shape = Of(prior);
        if (steps.IsEmpty) return shape;
        if (steps.Count(step => step.IsKnown) >= 2) steps = [.. steps.Where(step => step.IsKnown)];

        var weight = steps.Sum(step => (double)step.Samples);
        var scale = Math.Exp(steps.Sum(step => step.Samples * Math.Log(step.Seconds / shape.Seconds(step.Sequences))) / weight);
        IEnumerable<(double N, double Seconds, double Weight)> points =
        [
            .. steps.Select(step => (step.Sequences, step.Seconds, (double)step.Samples)),
            (1, scale * shape.Seconds(1), PriorWeight),
            (prior.Slots, scale * shape.Seconds(prior.Slots), PriorWeight),
        ];
        var (sum, n, seconds) = points.Aggregate((0.0, 0.0, 0.0), (all, point) => (all.Item1 + point.Weight, all.Item2 + (point.Weight * point.N), all.Item3 + (point.Weight * point.Seconds)));
        (n, seconds) = (n / sum, seconds / sum);
        var spread = points.Sum(point => point.Weight * (point.N - n) * (point.N - n));
        var slope = spread > 0 ? points.Sum(point => point.Weight * (point.N - n) * (point.Seconds - seconds)) / spread : 0;

        // Neither part is negative, and no batch is free: at 256 sequences a step takes at least twice the time.
        slope = Math.Clamp(slope, seconds / (256 + n), seconds / n);
        return new DecodeCurve(Math.Max(0, seconds - (slope * n)), slope);
    }

    /// <summary>
    /// Tokens per second at <paramref name="batch"/> sequences. A line from one point to a batch many times as large is a guess at a factor of ten, so it is followed beyond the largest batch that is known only
    /// as far as those that are known lie apart, and to twice that; further on no more is claimed than the prior says: the rate is known to a factor of two, or it is the prior's word.
    /// </summary>
    public static double Rate(ImmutableArray<LearnedStep> steps, ClassPrior prior, double batch)
    {
        if (steps.IsDefaultOrEmpty) return prior.DecodeTokensPerSecond;

        var line = Fit(steps, prior);
        var known = steps.Where(step => step.IsKnown).Select(step => step.Sequences).DefaultIfEmpty(steps[^1].Sequences).ToArray();
        var reach = 2 * known[^1] * (known[^1] / known[0]);
        return batch <= reach ? line.TokensPerSecond(batch) : Math.Min(line.TokensPerSecond(batch), Math.Max(prior.DecodeTokensPerSecond, line.TokensPerSecond(reach)));
    }

    /// <summary>Learns that a step of so many sequences took so long.</summary>
    public static ImmutableArray<LearnedStep> Learn(ImmutableArray<LearnedStep> steps, ClassPrior prior, double sequences, double seconds)
    {
        if (sequences < 1 || !ClippedMean.Usable(seconds)) return steps;

        var bucket = Bucket(sequences);
        var index = steps.IndexOf(steps.FirstOrDefault(step => Bucket(step.Sequences) == bucket));
        if (index < 0)
        {
            var guess = new LearnedStep(sequences, ClippedMean.Move(Fit(steps, prior).Seconds(sequences), seconds), 1);
            return [.. steps.Add(guess).OrderBy(step => step.Sequences)];
        }

        // The sample is carried along the line to where the bucket stands, so that it moves the time alone.
        var old = steps[index];
        var line = Fit(steps, prior);
        var there = seconds * line.Seconds(old.Sequences) / line.Seconds(sequences);
        var moved = ClippedMean.Move(old.Seconds, there);

        // What was seen a few times only is mostly what the line said of it then: it goes with the line.
        var builder = steps.ToBuilder();
        for (var other = 0; other < builder.Count; other++)
        {
            builder[other] = other == index
                ? old with { Seconds = moved, Samples = Math.Min(old.Samples + 1, MostSamples) }
                : builder[other] with { Seconds = builder[other].Seconds * Math.Pow(moved / old.Seconds, Math.Pow(1 - ClippedMean.Step, builder[other].Samples)) };
        }

        return builder.DrainToImmutable();
    }

    /// <summary>Seconds of a step of so many sequences.</summary>
    public double Seconds(double sequences) => Base + (PerSequence * sequences);

    /// <summary>Tokens per second at so many sequences.</summary>
    public double TokensPerSecond(double sequences) => sequences / Seconds(sequences);

    /// <summary>Batches of about one size: a power of two.</summary>
    public static int Bucket(double sequences) => (int)Math.Round(Math.Log2(Math.Max(1, sequences)));
}
