namespace Serverless.Sessions;

/// <summary>How an attempt left its worker.</summary>
public enum AttemptOutcome
{
    /// <summary>The request has ended in the log, by this attempt or otherwise.</summary>
    Ended,

    /// <summary>The worker gave it back unfinished: preempted, draining or not started. Another attempt continues; this one does not count as lost.</summary>
    Returned,

    /// <summary>The engine went away with it: another attempt continues on another engine, and this one counts as lost.</summary>
    Lost,

    /// <summary>A newer attempt fenced it off: the work was dropped.</summary>
    Fenced,

    /// <summary>The worker cannot read it, or its engine cannot answer its kind: another worker may. Nothing was begun.</summary>
    NotUnderstood,

    /// <summary>Something of the worker's own went wrong: another attempt continues, after a pause, a bounded number of times.</summary>
    Failed,
}
