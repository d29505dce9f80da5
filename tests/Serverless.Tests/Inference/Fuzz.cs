using System.Globalization;
using Shouldly;

namespace Serverless.Tests.Inference;

/// <summary>
/// Random cases against a bound on memory: 500 of them from a fixed seed, or as many as FUZZ_RUNS says from FUZZ_SEED (<c>make fuzz</c>). A fault names its case, which is
/// a seed by itself: FUZZ_RUNS=1 FUZZ_SEED=that runs it alone.
/// </summary>
internal static class Fuzz
{
    private const long MaxBytes = 256L << 20;

    private static readonly int Runs = Number("FUZZ_RUNS", 500);
    private static readonly int Seed = Number("FUZZ_SEED", 12);

    /// <summary>Runs the cases; <paramref name="run"/> throws where the product did what it must not.</summary>
    public static void Run(ITestOutputHelper? output, Action<Random> run)
    {
        output?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Runs} cases from seed {Seed}"));
        var (most, at) = (0L, 0);
        for (var seed = Seed; seed < Seed + Runs; seed++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                run(new Random(seed));
            }
            catch (Exception exception)
            {
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"Case {seed}: {exception.Message}"), exception);
            }

            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            allocated.ShouldBeLessThanOrEqualTo(MaxBytes, string.Create(CultureInfo.InvariantCulture, $"case {seed} allocates"));
            if (allocated > most) (most, at) = (allocated, seed);
        }

        output?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"at most {most / 1024.0 / 1024:F1} MiB, by case {at}"));
    }

    /// <summary>What a variable of the environment says, or else <paramref name="fallback"/>.</summary>
    public static int Number(string variable, int fallback) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var number) ? number : fallback;
}
