using System.Globalization;

namespace Serverless;

/// <summary>
/// Holds threads up where they read a test's clock, as a machine with less cores than threads does, only far more often: with <c>SERVERLESS_STUTTER=20</c> one reading of twenty takes up to 20 ms. A test whose
/// clock runs on while a thread is behind fails in minutes with it, and without it once in a thousand runs. <c>make stutter</c>.
/// </summary>
internal static class Stutter
{
    private const int LongestMilliseconds = 20;

    private static readonly int OneOf = int.TryParse(Environment.GetEnvironmentVariable("SERVERLESS_STUTTER"), NumberStyles.None, CultureInfo.InvariantCulture, out var oneOf) ? oneOf : 0;

    /// <summary>Perhaps holds this thread up.</summary>
    public static void Now()
    {
#pragma warning disable RS0030 // to hold the thread up is what it is for
        if (OneOf > 0 && Random.Shared.Next(OneOf) == 0) Thread.Sleep(Random.Shared.Next(LongestMilliseconds));
#pragma warning restore RS0030
    }
}
