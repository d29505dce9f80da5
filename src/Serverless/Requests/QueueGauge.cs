using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>What one model's queue holds against its limits, in all and per organization. Not thread-safe.</summary>
internal sealed class QueueGauge(ModelName model, QueueLimits limits)
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, (long Requests, long Tokens, long Bytes)> _tenants = new(StringComparer.Ordinal);
    private (long Requests, long Tokens, long Bytes) _all;

    public QueueDepth Depth(long deadLetters) => new(_all.Requests, _all.Tokens, _all.Bytes, deadLetters);

    /// <summary>Which bound the request would break; null: none.</summary>
    public ServingFault? Check(InferenceRequest request)
    {
        if (Broken(_all, request, 1) is { } fault) return fault;
        return limits.TenantShare < 1 ? Broken(_tenants.GetValueOrDefault(request.Owner.Organization), request, limits.TenantShare) : null;
    }

    public void Add(InferenceRequest request) => Count(request, _tenants.GetValueOrDefault(request.Owner.Organization), 1);

    public void Remove(InferenceRequest request) => Count(request, _tenants.GetValueOrDefault(request.Owner.Organization), -1);

    private void Count(InferenceRequest request, (long Requests, long Tokens, long Bytes) tenant, int sign)
    {
        _all = Sum(_all, request, sign);
        tenant = Sum(tenant, request, sign);
        if (tenant.Requests == 0) _tenants.Remove(request.Owner.Organization);
        else _tenants[request.Owner.Organization] = tenant;
    }

    private static (long Requests, long Tokens, long Bytes) Sum((long Requests, long Tokens, long Bytes) held, InferenceRequest request, int sign) =>
        (held.Requests + sign, held.Tokens + (sign * request.MaxTotalTokens), held.Bytes + (sign * request.Body.Length));

    private ServingFault? Broken((long Requests, long Tokens, long Bytes) held, InferenceRequest request, double share)
    {
        if (held.Requests + 1 > limits.MaxRequests * share) return Full("requests", held.Requests, limits.MaxRequests, share);
        if (held.Tokens + request.MaxTotalTokens > limits.MaxTokens * share) return Full("tokens", held.Tokens, limits.MaxTokens, share);
        if (held.Bytes + request.Body.Length > limits.MaxBytes * share) return Full("bytes", held.Bytes, limits.MaxBytes, share);
        return null;
    }

    private ServingFault Full(string unit, long held, long limit, double share)
    {
        var whose = share < 1 ? $"its organization's share of {limit * share:F0}" : $"its limit of {limit}";
        return new ServingFault(ServingError.QueueFull, $"The queue of '{model}' holds {held} {unit} and would pass {whose}; try again later.", RetryAfter: RetryAfter);
    }
}
