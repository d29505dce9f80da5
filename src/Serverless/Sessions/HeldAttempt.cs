using Serverless.Requests;

namespace Serverless.Sessions;

/// <summary>An attempt that a worker holds when it registers with the next dispatcher.</summary>
/// <param name="Id">Which request.</param>
/// <param name="Attempt">Its number, from 1.</param>
/// <param name="LastSequence">Sequence of the last event the worker knows to be in the log.</param>
public sealed record HeldAttempt(RequestId Id, int Attempt, long LastSequence)
{
    /// <summary>The store's run of its fence; empty of a worker that does not say.</summary>
    public string StoreRun { get; init; } = "";
}
