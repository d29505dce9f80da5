using Serverless.Catalog;

namespace Serverless.Requests;

/// <summary>The head of a request's log, written by whoever takes the promise, before the request is enqueued.</summary>
/// <param name="Model">Whose lease epoch guards it.</param>
/// <param name="Promise">Who owes the answer.</param>
/// <param name="Holder">Name of the holder: a gateway's for a connection; of several the one that came last.</param>
/// <param name="Deadline">An ended log is kept beyond then.</param>
public sealed record LogHead(ModelName Model, Promise Promise, string Holder, DateTimeOffset Deadline)
{
    /// <summary>Whose request it is; nobody else may read it.</summary>
    public Owner Owner { get; init; } = Owner.Local;

    /// <summary>Whether its client may come back for it: the ended log is then kept to its deadline though its end was read.</summary>
    public bool Resumable { get; init; }

    /// <summary>How its answer is rendered, as its gateway wrote it down, so that any gateway renders it alike; opaque to the log, a few hundred bytes.</summary>
    public ReadOnlyMemory<byte> Shape { get; init; }

    /// <summary>As read: attempts begun so far. Not written.</summary>
    public int Attempts { get; init; }

    /// <summary>As read: whether the request has ended. Not written.</summary>
    public bool Ended { get; init; }

    /// <summary>As read: when it ended, by the clock of whoever keeps the log; null while it has not, or where an earlier release ended it. Not written.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>The head that this request's log is opened with.</summary>
    public static LogHead Of(InferenceRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return new(request.Model, request.Promise, request.Holder, request.Deadline) { Owner = request.Owner, Resumable = request.Resumable, Shape = request.Shape };
    }
}
