using CsCheck;

namespace Serverless.Tests.Scaling;

/// <summary>
/// How often a property is tried: CsCheck's hundred, or as <c>CsCheck_Iter</c> says; one whose run is a whole simulated hour a fraction of it. A failure prints its seed, and
/// <c>CsCheck_Seed</c> runs it again.
/// </summary>
internal static class PropertyRuns
{
    public static long Slow => Math.Max(20, Check.Iter / 4);
}
