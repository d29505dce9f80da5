using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>What one model's queue holds against its limits, in all and per organization. Not thread-safe.</summary>
public sealed class QueueGauge(ModelName model, QueueLimits limits)
{
    private static readonly TimeSpan RetryWhenUnknown = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(60);

    private readonly Dictionary<string, QueueLoad> _tenants = new(StringComparer.Ordinal);

    /// <summary>What was added and not removed.</summary>
    public QueueLoad Held { get; private set; }

    /// <summary>Which bound the request would break; null: none.</summary>
    /// <param name="organization">Whose it is.</param>
    /// <param name="wanted">What it takes.</param>
    /// <param name="elsewhere">What the queue holds beside what this gauge was told of.</param>
    /// <param name="elsewhereOfTenant">The part of it that is the organization's.</param>
    /// <param name="tokensPerSecond">How fast what is held is worked off, for an honest Retry-After; 0: unknown.</param>
    public ServingFault? Check(string organization, QueueLoad wanted, QueueLoad elsewhere, QueueLoad elsewhereOfTenant, double tokensPerSecond)
    {
        var all = Held + elsewhere;
        var drain = tokensPerSecond > 0 ? all.Tokens / tokensPerSecond : double.NaN;
        if (Broken(all, wanted, 1, drain) is { } fault) return fault;
        if (limits.TenantShare >= 1) return null;

        return Broken(_tenants.GetValueOrDefault(organization) + elsewhereOfTenant, wanted, limits.TenantShare, drain);
    }

    /// <summary>Takes it in, whatever the bounds.</summary>
    public void Add(string organization, QueueLoad load)
    {
        Held += load;
        _tenants[organization] = _tenants.GetValueOrDefault(organization) + load;
    }

    /// <summary>Gives its room back; only for one that was added.</summary>
    public void Remove(string organization, QueueLoad load)
    {
        Held -= load;
        var tenant = _tenants[organization] - load;
        if (tenant.Requests == 0) _tenants.Remove(organization);
        else _tenants[organization] = tenant;
    }

    private ServingFault? Broken(QueueLoad held, QueueLoad wanted, double share, double drainSeconds) =>
        Broken("requests", held.Requests, wanted.Requests, limits.MaxRequests, share, drainSeconds)
        ?? Broken("tokens", held.Tokens, wanted.Tokens, limits.MaxTokens, share, drainSeconds)
        ?? Broken("bytes", held.Bytes, wanted.Bytes, limits.MaxBytes, share, drainSeconds);

    private ServingFault? Broken(string unit, long held, long wanted, long limit, double share, double drainSeconds)
    {
        var excess = held + wanted - (limit * share);
        if (excess <= 0) return null;

        var whose = share < 1 ? $"its organization's share of {limit * share:F0}" : $"its limit of {limit}";
        return new ServingFault(
            ServingError.QueueFull,
            $"The queue of '{model}' holds {held} {unit} and would pass {whose} with {wanted} more; try again later.",
            RetryAfter: RetryAfter(held == 0 ? 1 : excess / held, drainSeconds));
    }

    /// <summary>When that part of what is held will have been worked off.</summary>
    private static TimeSpan RetryAfter(double part, double drainSeconds)
    {
        if (double.IsNaN(drainSeconds)) return RetryWhenUnknown;
        return TimeSpan.FromSeconds(Math.Clamp(Math.Ceiling(Math.Min(part, 1) * drainSeconds), 1, LongestRetry.TotalSeconds));
    }
}
