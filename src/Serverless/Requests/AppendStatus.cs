namespace Serverless.Requests;

/// <summary>The log's answer to an append.</summary>
public enum AppendStatus
{
    /// <summary>Written, or already there from an earlier try.</summary>
    Accepted,

    /// <summary>A newer attempt has the right: drop the work.</summary>
    Fenced,

    /// <summary>The request has ended: drop the work.</summary>
    Ended,

    /// <summary>The first sequence lies beyond the end of the log: append from there again.</summary>
    Gap,

    /// <summary>No such log.</summary>
    Unknown,

    /// <summary>The store has another run than the fence and may have lost events: nothing is written until the dispatcher adopts the attempt anew (<see cref="IRequestLog.AdoptAsync"/>).</summary>
    StoreChanged,

    /// <summary>With this the request's output would be larger than a log keeps. Nothing of it was written; the request has ended with <see cref="Errors.ServingError.OutputTooLarge"/>: drop the work.</summary>
    TooLarge,
}
