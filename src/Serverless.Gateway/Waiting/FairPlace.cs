using Serverless.Demand;
using Serverless.Requests;

namespace Serverless.Gateway.Waiting;

/// <summary>
/// Who asks, and so what is ahead of it in the order in which a backlog is served: lanes are strict, and inside one organizations share by tokens. Pure.
/// <code>
///   ahead = tokens of the lanes above + own + Σ min(theirs, own)     over the other organizations, in its lane
/// </code>
/// Why: until the request's turn comes its organization is served what it has before it, <c>own</c>. An organization that waits as well is served as much meanwhile, for the backlog
/// always takes from whoever was served least, and at most what it has. So nobody waits for another's backlog beyond what it asks for itself: with nothing of its own waiting it is next,
/// after at most one request of each. What an organization was served more than others before, it waits for too; that is not known here, so this is the least there can be ahead.
/// </summary>
/// <param name="Lane">Its lane.</param>
/// <param name="Organization">Its organization; null: not known, everything in its lane is taken to be ahead.</param>
internal readonly record struct FairPlace(Lane Lane, string? Organization = null)
{
    private static readonly Dictionary<(Lane Lane, string Organization), long> Nothing = [];

    /// <summary>Its own tokens, if it is itself part of the demand.</summary>
    public long OwnTokens { get; init; }

    /// <summary>No more than this is ahead of it: what was when it came. Null: not known.</summary>
    public long? AtMost { get; init; }

    /// <summary>Tokens that wait and the demand does not count yet.</summary>
    public IReadOnlyDictionary<(Lane Lane, string Organization), long>? Unseen { get; init; }

    /// <summary>Tokens that are served before it.</summary>
    public long TokensAhead(ModelDemand? demand)
    {
        var lane = Lane;
        var unseen = Unseen ?? Nothing;
        var (above, inLane, below) = ByLane(demand);
        var elsewhere = above + below;
        foreach (var ((theirs, _), tokens) in unseen)
        {
            if (theirs < lane) above += tokens;
            else if (theirs == lane) inLane += tokens;
        }

        var ahead = above + (Organization is { } organization && IsTold(demand) ? FairShare(organization, demand, unseen, elsewhere) : inLane);
        ahead = Math.Min(ahead, above + inLane);
        return Math.Min(AtMost ?? long.MaxValue, Math.Max(0, ahead - (Organization is not null && IsTold(demand) ? 0 : OwnTokens)));
    }

    /// <summary>An empty list beside a backlog is one that nobody wrote.</summary>
    private static bool IsTold(ModelDemand? demand) => demand is null || demand.PendingByOrganization.Count > 0 || demand.PendingRequests == 0;

    /// <summary>Own and others' tokens of the lane that come first.</summary>
    /// <param name="organization">Who asks.</param>
    /// <param name="demand">What is published.</param>
    /// <param name="unseen">What is not yet.</param>
    /// <param name="elsewhere">Tokens of other lanes: organizations are told over all lanes, so what may be elsewhere is not taken to be here.</param>
    private long FairShare(string organization, ModelDemand? demand, IReadOnlyDictionary<(Lane Lane, string Organization), long> unseen, long elsewhere)
    {
        var inLane = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var share in demand?.PendingByOrganization ?? []) inLane[share.Organization] = Math.Max(0, share.Tokens - elsewhere);
        foreach (var ((lane, theirs), tokens) in unseen)
        {
            if (lane == Lane) inLane[theirs] = inLane.GetValueOrDefault(theirs) + tokens;
        }

        var own = Math.Max(0, inLane.GetValueOrDefault(organization) - OwnTokens);
        inLane.Remove(organization);
        return own + inLane.Values.Sum(theirs => Math.Min(theirs, own));
    }

    private (long Above, long InLane, long Below) ByLane(ModelDemand? demand)
    {
        if (demand is null) return default;
        if (demand.PendingTokensByLane.Count == 0) return (0, demand.PendingPromptTokens + demand.PendingOutputTokens, 0);

        var (above, inLane, below) = (0L, 0L, 0L);
        for (var i = 0; i < demand.PendingTokensByLane.Count; i++)
        {
            if (i < (int)Lane) above += demand.PendingTokensByLane[i];
            else if (i == (int)Lane) inLane = demand.PendingTokensByLane[i];
            else below += demand.PendingTokensByLane[i];
        }

        return (above, inLane, below);
    }
}
