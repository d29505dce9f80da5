using System.Security.Cryptography;
using System.Text;
using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>Sends a dead letter through again, as a new request: the old id has ended and stays so. Thread-safe.</summary>
public sealed class Redrive(IDeadLetters letters, IRequestQueue queue, IRequestLog log, TimeProvider time)
{
    private const int IdBytes = 12;

    /// <summary>
    /// Enqueues the letter's request under a new id, promised by that id, with the time its first try had; then removes the letter. The new id follows from the old one,
    /// so that a redrive that was cut short, and is asked for again, is one request.
    /// </summary>
    /// <returns>The new id.</returns>
    /// <exception cref="ServingException"><see cref="ServingError.RequestNotFound"/>: no such letter; <see cref="ServingError.MalformedMessage"/>: it holds no request; or what the queue refuses it for.</exception>
    public async ValueTask<RequestId> SendAsync(string id, CancellationToken cancellationToken)
    {
        var letter = await letters.GetAsync(id, cancellationToken) ?? throw Refused(ServingError.RequestNotFound, $"There is no dead letter '{id}'.");
        var old = letter.Request ?? throw Refused(ServingError.MalformedMessage, $"The dead letter '{id}' holds no request that can be read ({letter.Reason.Message}); remove it, and have its sender send it right.");

        var now = time.GetUtcNow();
        var request = old with { Id = NewId(old), Promise = Promise.Id, Holder = "", Resumable = true, AcceptedAt = now, Deadline = now + (old.Deadline - old.AcceptedAt) };
        await log.OpenAsync(request.Id, LogHead.Of(request), cancellationToken);
        if ((await queue.EnqueueAsync(request, cancellationToken)).Fault is { } fault) throw new ServingException(fault);

        await letters.RemoveAsync(id, cancellationToken);
        return request.Id;
    }

    private static RequestId NewId(InferenceRequest old)
    {
        var prefix = old.Id.Value[..(old.Id.Value.IndexOf('-', StringComparison.Ordinal) + 1)];
        return new(prefix + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(old.Id.Value)).AsSpan(0, IdBytes)));
    }

    private static ServingException Refused(ServingError error, string message) => new(new ServingFault(error, message));
}
