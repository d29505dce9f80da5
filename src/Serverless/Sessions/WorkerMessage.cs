using Serverless.Requests;

namespace Serverless.Sessions;

/// <summary>What a worker tells its dispatcher.</summary>
public abstract record WorkerMessage
{
    private WorkerMessage()
    {
    }

    /// <summary>Its load now.</summary>
    /// <param name="Load">The figures.</param>
    public sealed record Report(WorkerLoad Load) : WorkerMessage;

    /// <summary>An attempt left the worker.</summary>
    /// <param name="Id">Which request.</param>
    /// <param name="Outcome">How.</param>
    /// <param name="OutputTokens">Tokens it generated, for learning; 0 if none.</param>
    public sealed record AttemptEnded(RequestId Id, AttemptOutcome Outcome, int OutputTokens) : WorkerMessage
    {
        /// <summary>Which attempt, from 1; 0 of a worker that does not say.</summary>
        public int Attempt { get; init; }

        /// <summary>How the request ended, where this attempt ended it; null: another did, or the worker does not say.</summary>
        public RequestOutcome? How { get; init; }

        /// <summary>Prompt tokens that a prefix cache supplied.</summary>
        public int CachedTokens { get; init; }
    }

    /// <summary>The log's store has another run than the attempt's fence: adopt it anew and answer with <see cref="DispatcherMessage.Refence"/>, or cancel it.</summary>
    /// <param name="Id">Which request.</param>
    /// <param name="Attempt">The attempt that asks.</param>
    public sealed record StoreChanged(RequestId Id, int Attempt) : WorkerMessage;

    /// <summary>It was told to stop: it waits for the dispatcher's <see cref="DispatcherMessage.Drain"/>, finishes what was assigned before it, and leaves.</summary>
    public sealed record Draining : WorkerMessage;
}

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

    /// <summary>The engine takes nothing now: another attempt continues, after a pause, as often as it takes. It counts against nobody.</summary>
    Busy,
}
