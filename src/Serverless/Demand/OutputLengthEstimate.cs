using System.Numerics;
using Serverless.Requests;

namespace Serverless.Demand;

/// <summary>
/// How long a model's answers are expected to be, learned by their cap (a caller who allows 16 tokens gets other answers than one who allows 4,096): the upper quartile of those seen,
/// 256 tokens before the first, at most the request's cap. It is read off bins 15 % wide (<see cref="LengthHistogram.Ratio"/>): never below the true quartile, at most a bin above it. Room is reserved by it; <see cref="MeanShare"/> tells how much of it is used on average. Not thread-safe.
/// </summary>
internal sealed class OutputLengthEstimate
{
    private const double Quantile = 0.75;
    private const double Prior = 256;
    private const int PriorWeight = 4;
    private const double ShareStep = 0.02;

    private readonly Dictionary<int, LengthHistogram> _byCap = [];
    private double _expected = 1;
    private double _generated = 1;

    /// <summary>What answers really take of what <see cref="For"/> expected, on average; 1 before the first.</summary>
    public double MeanShare => Math.Clamp(_generated / _expected, 0.01, 1);

    /// <summary>Expected output of a request over all its choices.</summary>
    public int For(InferenceRequest request) => request.Choices * (int)Math.Clamp(Math.Ceiling(Of(request).Quantile(Quantile)), 1, request.MaxOutputTokens);

    /// <summary>Learns from a request that ended.</summary>
    public void Observe(InferenceRequest request, int outputTokens)
    {
        // Both sides are smoothed apart: the ratio of means, which sums of tokens need, not the mean of ratios.
        var expected = For(request);
        _expected += ShareStep * (expected - _expected);
        _generated += ShareStep * (Math.Clamp(outputTokens, 0, 4 * expected) - _generated);
        Of(request).Add((double)outputTokens / request.Choices);
    }

    private LengthHistogram Of(InferenceRequest request)
    {
        var bucket = BitOperations.Log2((uint)Math.Max(1, request.MaxOutputTokens));
        if (!_byCap.TryGetValue(bucket, out var histogram)) _byCap[bucket] = histogram = new LengthHistogram(Math.Min(Prior, request.MaxOutputTokens), PriorWeight);
        return histogram;
    }
}
