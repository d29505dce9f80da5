using Serverless.Requests;

namespace Serverless.Dispatching;

/// <summary>How long a model's answers are expected to be: the mean of those seen, smoothed and with a margin, at most the request's cap. Not thread-safe.</summary>
internal sealed class OutputLengthEstimate
{
    private const double Prior = 256;
    private const double Smoothing = 0.05;
    private const double Margin = 1.5;

    private double _mean = Prior / Margin;

    /// <summary>Expected output of a request over all its choices.</summary>
    public int For(InferenceRequest request) => request.Choices * (int)Math.Clamp(Math.Ceiling(_mean * Margin), 1, request.MaxOutputTokens);

    /// <summary>Learns from a request that ended.</summary>
    public void Observe(InferenceRequest request, int outputTokens) => _mean += Smoothing * (((double)outputTokens / request.Choices) - _mean);
}
