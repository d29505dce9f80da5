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
