using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>
/// What one model's queue holds against its limits, in all and per organization. Not thread-safe.
/// <code>
///   refused:  held + wanted > limit   and   own + wanted > limit / k      k: organizations with work here, the asking one included
///             own + wanted  > limit × TenantShare
///             held + wanted > limit × <see cref="MostOvercommit"/>
/// </code>
/// So whoever fills the queue shuts nobody out: an organization gets in up to its fair share of the limit, whatever the others hold; what is beyond shares is for whoever comes first.
/// The price is that a queue may hold more than its limit. How much: of those that hold something, order the ones that got in over the limit by when they last did. The j-th found the
/// j − 1 before it and (unless all others are gone) one more, so it holds at most limit / (j + 1); the rest together held at most the limit when the last of them got in. Hence
/// held ≤ limit × (1 + 1/2 + … + 1/k), which stays below <see cref="MostOvercommit"/> limits up to 30 organizations; the last line holds it there for more of them, and only then may one
/// below its share be refused.
/// </summary>
public sealed class QueueGauge(ModelName model, QueueLimits limits)
{
    /// <summary>A queue never holds more than so many times its limit.</summary>
    public const int MostOvercommit = 4;

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
    /// <param name="organizationsElsewhere">Who holds what is elsewhere; none told: it is taken to be the organization's own.</param>
    public ServingFault? Check(string organization, QueueLoad wanted, QueueLoad elsewhere, QueueLoad elsewhereOfTenant, double tokensPerSecond, IEnumerable<string>? organizationsElsewhere = null)
    {
        var all = Held + elsewhere;
        var told = organizationsElsewhere is not null && organizationsElsewhere.Any();
        var own = _tenants.GetValueOrDefault(organization) + (told ? elsewhereOfTenant : elsewhere);
        var asked = new Asked(all, own, wanted, tokensPerSecond > 0 ? all.Tokens / tokensPerSecond : double.NaN);
        if (limits.TenantShare >= 1 && Fits(all + wanted)) return null;

        var organizations = Organizations(organization, organizationsElsewhere);
        return Broken("requests", limits.MaxRequests, load => load.Requests, asked, organizations)
            ?? Broken("tokens", limits.MaxTokens, load => load.Tokens, asked, organizations)
            ?? Broken("bytes", limits.MaxBytes, load => load.Bytes, asked, organizations);
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

    private bool Fits(QueueLoad load) => load.Requests <= limits.MaxRequests && load.Tokens <= limits.MaxTokens && load.Bytes <= limits.MaxBytes;

    private int Organizations(string asking, IEnumerable<string>? elsewhere)
    {
        var count = _tenants.Count + (_tenants.ContainsKey(asking) ? 0 : 1);
        return count + (elsewhere ?? []).Count(other => other != asking && !_tenants.ContainsKey(other));
    }

    private ServingFault? Broken(string unit, long limit, Func<QueueLoad, long> of, in Asked asked, int organizations)
    {
        var (held, own, wanted) = (of(asked.Held), of(asked.Own), of(asked.Wanted));
        var most = limit * limits.TenantShare;
        if (limits.TenantShare < 1 && own + wanted > most) return Full(unit, own, wanted, most, $"its organization's share of {most:F0}", asked);
        if (held + wanted <= limit) return null;

        var share = (double)limit / organizations;
        if (own + wanted > share)
        {
            var whose = organizations == 1 ? $"its limit of {limit}" : $"its limit of {limit}, of which {organizations} organizations share: {share:F0} each, and yours holds {own}";
            return Full(unit, held, wanted, limit, whose, asked);
        }

        return held + wanted > limit * (double)MostOvercommit ? Full(unit, held, wanted, limit * (double)MostOvercommit, $"{MostOvercommit} times its limit of {limit}", asked) : null;
    }

    private ServingFault Full(string unit, long held, long wanted, double bound, string whose, in Asked asked) => new(
        ServingError.QueueFull,
        FormattableString.Invariant($"The queue of '{model}' holds {held} {unit} and would pass {whose} with {wanted} more; try again later."),
        RetryAfter: RetryAfter(held == 0 ? 1 : (held + wanted - bound) / held, asked.DrainSeconds));

    /// <summary>When that part of what is held will have been worked off.</summary>
    private static TimeSpan RetryAfter(double part, double drainSeconds)
    {
        if (double.IsNaN(drainSeconds)) return RetryWhenUnknown;
        return TimeSpan.FromSeconds(Math.Clamp(Math.Ceiling(Math.Min(part, 1) * drainSeconds), 1, LongestRetry.TotalSeconds));
    }

    private readonly record struct Asked(QueueLoad Held, QueueLoad Own, QueueLoad Wanted, double DrainSeconds);
}
