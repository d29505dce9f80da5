using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>Port: what was given up, for its operators. Nobody else reads it, and nothing leaves it by itself.</summary>
/// <remarks>A store that cannot be reached: every call throws <see cref="Errors.ServingException"/> with <see cref="Errors.ServingError.StoreUnavailable"/> after a bounded time.</remarks>
public interface IDeadLetters
{
    /// <summary>
    /// The oldest ones first, at most <paramref name="limit"/>, without their bodies. Fewer where bodies have to pass by and are large. Where there are more than that, a store that can only be read
    /// from its head shows those that it has there.
    /// </summary>
    ValueTask<IReadOnlyList<DeadLetter>> ListAsync(int limit, CancellationToken cancellationToken);

    /// <summary>How many there are. Those that another operator is looking at this moment may not be counted.</summary>
    ValueTask<long> CountAsync(CancellationToken cancellationToken);

    /// <summary>The one of that id, or null.</summary>
    ValueTask<DeadLetter?> GetAsync(string id, CancellationToken cancellationToken);

    /// <summary>Removes it for good. False: there was none.</summary>
    ValueTask<bool> RemoveAsync(string id, CancellationToken cancellationToken);
}

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
