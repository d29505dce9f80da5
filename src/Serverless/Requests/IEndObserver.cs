namespace Serverless.Requests;

/// <summary>
/// Port: told of every end, by whatever face the request came and however it ended. The ledger, results and counters hang here. A dispatcher calls it after the terminal event
/// and before the request's message is acknowledged: once, and again where it was lost between the two or the message came twice, so that it must be idempotent by the request's id.
/// </summary>
public interface IEndObserver
{
    /// <summary>Takes note of an end. Returns once what it keeps is safe; where it throws it is told again after a pause, until cancelled.</summary>
    /// <returns>False: what it must keep was lost with the log, so the request must run again.</returns>
    ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken);
}

/// <summary>The end of a request.</summary>
/// <param name="Request">The request.</param>
/// <param name="Outcome">How it ended.</param>
/// <param name="Usage">What was used, also by what failed or was cancelled: nothing if it never began.</param>
public sealed record RequestEnd(InferenceRequest Request, RequestOutcome Outcome, TokenUsage Usage);

/// <summary>How a request ended.</summary>
public enum RequestOutcome
{
    /// <summary>All choices ended.</summary>
    Finished,

    /// <summary>It was not answered, or not to its end.</summary>
    Failed,

    /// <summary>Its holder gave it up.</summary>
    Cancelled,
}
