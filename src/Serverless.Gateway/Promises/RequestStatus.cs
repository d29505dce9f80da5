namespace Serverless.Gateway.Promises;

/// <summary>Where a request is. The names on the wire are these in snake case.</summary>
internal enum RequestStatus
{
    /// <summary>No attempt has begun.</summary>
    Queued,

    /// <summary>A replica works on it, or did and another will.</summary>
    InProgress,

    /// <summary>Its response is there.</summary>
    Completed,

    /// <summary>Its error is there.</summary>
    Failed,

    /// <summary>Its holder gave it up.</summary>
    Cancelled,
}
