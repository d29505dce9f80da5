using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>One entry of a request's log. The terminal ones are <see cref="Finished"/>, <see cref="Failed"/> and <see cref="Cancelled"/>: a log holds exactly one of them, last.</summary>
public abstract record RequestEvent
{
    private RequestEvent()
    {
    }

    /// <summary>Whether this ends the request.</summary>
    public bool IsTerminal => this is Finished or Failed or Cancelled;

    /// <summary>A dispatcher has it in its backlog.</summary>
    /// <param name="At">When.</param>
    public sealed record Accepted(DateTimeOffset At) : RequestEvent;

    /// <summary>An attempt began on a replica.</summary>
    /// <param name="Attempt">From 1.</param>
    /// <param name="Replica">The worker's name.</param>
    /// <param name="At">When.</param>
    public sealed record Started(int Attempt, string Replica, DateTimeOffset At) : RequestEvent;

    /// <summary>Output of one engine step.</summary>
    /// <param name="Choices">At least one; a choice at most once.</param>
    public sealed record Chunk(IReadOnlyList<ChoiceChunk> Choices) : RequestEvent;

    /// <summary>All choices ended.</summary>
    /// <param name="Usage">What it cost.</param>
    public sealed record Finished(TokenUsage Usage) : RequestEvent;

    /// <summary>It will not be answered, or not to its end.</summary>
    /// <param name="Fault">What the client is told.</param>
    /// <param name="Usage">What it cost until then; null where whoever ended it does not know.</param>
    public sealed record Failed(ServingFault Fault, TokenUsage? Usage = null) : RequestEvent;

    /// <summary>Its holder gave it up.</summary>
    /// <param name="Reason">For people; no client reads it.</param>
    /// <param name="Usage">What it cost until then; null where whoever ended it does not know.</param>
    public sealed record Cancelled(string Reason, TokenUsage? Usage = null) : RequestEvent;

    /// <summary>An entry that this release cannot read: a later one wrote it. Whoever follows passes over it; nobody writes it.</summary>
    /// <param name="What">What there is instead.</param>
    public sealed record Unknown(string What) : RequestEvent;
}
