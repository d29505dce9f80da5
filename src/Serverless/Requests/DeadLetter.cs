using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>A request, or a message that is none, that was given up: what it was, why, and after how many attempts.</summary>
/// <param name="Id">The request's id; for a message without one, a name made for it.</param>
/// <param name="Reason">Why: the kind, and the last error as a sentence.</param>
/// <param name="Attempts">Attempts that had begun.</param>
/// <param name="At">When it was given up.</param>
/// <param name="Request">The request; null when the message held none that can be read.</param>
/// <param name="Body">What the message held, as it came; in a list empty, as are the request's body and shape.</param>
public sealed record DeadLetter(string Id, ServingFault Reason, int Attempts, DateTimeOffset At, InferenceRequest? Request, ReadOnlyMemory<byte> Body)
{
    /// <summary>Bytes of the body, in a list too.</summary>
    public long Bytes { get; init; } = Body.Length;
}
