namespace Serverless.Dispatching;

/// <summary>How an attempt left its worker.</summary>
public enum AttemptOutcome
{
    /// <summary>The request has ended in the log, by this attempt or otherwise.</summary>
    Ended,

    /// <summary>The worker gave it back unfinished: preempted, draining or not started. Another attempt continues; this one does not count as lost.</summary>
    Returned,

    /// <summary>A newer attempt fenced it off: the work was dropped.</summary>
    Fenced,
}
