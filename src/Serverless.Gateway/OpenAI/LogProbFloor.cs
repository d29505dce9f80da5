namespace Serverless.Gateway.OpenAI;

/// <summary>JSON has no infinity: OpenAI gives −9999 for a token that cannot be.</summary>
internal static class LogProbFloor
{
    private const float Floor = -9999f;

    public static float Clamp(float logProb) => logProb >= Floor ? Math.Min(logProb, 0) : Floor;
}
