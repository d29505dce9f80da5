namespace Serverless.Requests;

/// <summary>Port: what was given up, for its operators. Nobody else reads it, and nothing leaves it by itself.</summary>
/// <remarks>A store that cannot be reached: every call throws <see cref="Errors.ServingException"/> with <see cref="Errors.ServingError.StoreUnavailable"/> after a bounded time.</remarks>
public interface IDeadLetters
{
    /// <summary>The oldest ones first, at most <paramref name="limit"/>, without their bodies. Fewer where bodies have to pass by and are large.</summary>
    ValueTask<IReadOnlyList<DeadLetter>> ListAsync(int limit, CancellationToken cancellationToken);

    /// <summary>The one of that id, or null.</summary>
    ValueTask<DeadLetter?> GetAsync(string id, CancellationToken cancellationToken);

    /// <summary>Removes it for good. False: there was none.</summary>
    ValueTask<bool> RemoveAsync(string id, CancellationToken cancellationToken);
}
