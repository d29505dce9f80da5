using Serverless.Demand;

namespace Serverless.Scaling.Planning;

/// <summary>What a request of a model asks for on average, learned from what waited: it turns a number of requests in the broker into work. Immutable plain data.</summary>
/// <param name="PromptTokens">Prompt tokens.</param>
/// <param name="OutputTokens">Expected output tokens.</param>
public sealed record RequestMean(double PromptTokens, double OutputTokens)
{
    private const double Smoothing = 0.05;

    /// <summary>Before anything was seen.</summary>
    public static RequestMean Prior { get; } = new(500, 250);

    /// <summary>The mean after that demand was seen; the same where nothing waits or the figures are nonsense.</summary>
    public RequestMean After(ModelDemand? demand)
    {
        if (demand is not { PendingRequests: > 0, PendingPromptTokens: >= 0, PendingOutputTokens: >= 0 }) return this;

        return new RequestMean(
            PromptTokens + (Smoothing * (((double)demand.PendingPromptTokens / demand.PendingRequests) - PromptTokens)),
            OutputTokens + (Smoothing * (((double)demand.PendingOutputTokens / demand.PendingRequests) - OutputTokens)));
    }

    /// <summary>The demand of so many requests of which nothing else is known.</summary>
    internal ModelDemand Of(Catalog.ModelName model, long requests, DateTimeOffset now) => new()
    {
        Model = model,
        At = now,
        PendingRequests = (int)Math.Clamp(requests, 0, int.MaxValue),
        PendingPromptTokens = (long)Math.Clamp(requests * PromptTokens, 0, long.MaxValue / 4),
        PendingOutputTokens = (long)Math.Clamp(requests * OutputTokens, 0, long.MaxValue / 4),
    };
}
