namespace Serverless.Requests;

/// <summary>The log's answer to a dispatcher that wants to begin an attempt.</summary>
/// <param name="Status">Whether it may.</param>
/// <param name="Fence">The attempt's right to append; default unless begun.</param>
/// <param name="LastSequence">Sequence of the last event, after which the attempt appends.</param>
/// <param name="Output">The chunks so far, from which the attempt continues; empty on a first attempt.</param>
/// <param name="AttemptsWithoutProgress">Attempts in a row before this one that appended no chunk.</param>
public sealed record BeginResult(BeginStatus Status, Fence Fence, long LastSequence, IReadOnlyList<ChoiceChunk> Output, int AttemptsWithoutProgress)
{
    /// <summary>A refusal.</summary>
    public static BeginResult Refused(BeginStatus status) => new(status, default, 0, [], 0);
}

/// <summary>Whether an attempt may begin.</summary>
public enum BeginStatus
{
    /// <summary>It may; older attempts are fenced off.</summary>
    Begun,

    /// <summary>The request has ended: complete what is missing of its end and acknowledge it.</summary>
    Ended,

    /// <summary>Another dispatcher holds the model with a higher epoch.</summary>
    StaleEpoch,

    /// <summary>No such log: its holder never opened it, or the store lost it. The holder submits again.</summary>
    Unknown,

    /// <summary>Only of an adoption: a newer attempt than the one asked for has begun.</summary>
    Superseded,
}

/// <summary>The log's answer to a dispatcher that takes over a running attempt, or asserts it again after the store lost data.</summary>
/// <param name="Status"><see cref="BeginStatus.Begun"/>: the attempt goes on under <paramref name="Fence"/>; else why it must be dropped. <see cref="BeginStatus.Superseded"/>: a newer attempt began.</param>
/// <param name="Fence">The attempt's right to append from now on.</param>
/// <param name="LastSequence">Sequence of the last event the store holds: the worker appends from the next one, again if need be.</param>
public readonly record struct AdoptResult(BeginStatus Status, Fence Fence, long LastSequence);
