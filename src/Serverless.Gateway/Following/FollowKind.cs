namespace Serverless.Gateway.Following;

/// <summary>What happens to whoever follows a log.</summary>
internal enum FollowKind
{
    /// <summary>The log has another event.</summary>
    Event,

    /// <summary>It has no more for now: what was read can be sent.</summary>
    Idle,

    /// <summary>Time has passed without one.</summary>
    Tick,

    /// <summary>The store holds no such log: it expired, or the store lost it.</summary>
    Gone,
}
