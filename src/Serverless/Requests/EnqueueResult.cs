using Serverless.Errors;

namespace Serverless.Requests;

/// <summary>Whether the queue took a request.</summary>
/// <param name="Fault">Null when it did; else why not (<see cref="ServingError.QueueFull"/>, <see cref="ServingError.ShuttingDown"/>).</param>
public readonly record struct EnqueueResult(ServingFault? Fault)
{
    /// <summary>Taken.</summary>
    public static EnqueueResult Enqueued => default;

    /// <summary>Whether the request is in the queue.</summary>
    public bool Succeeded => Fault is null;
}
