namespace Serverless.Requests;

/// <summary>The log's answer to a dispatcher that takes over a running attempt, or asserts it again after the store lost data.</summary>
/// <param name="Status"><see cref="BeginStatus.Begun"/>: the attempt goes on under <paramref name="Fence"/>; else why it must be dropped. <see cref="BeginStatus.Superseded"/>: a newer attempt began.</param>
/// <param name="Fence">The attempt's right to append from now on.</param>
/// <param name="LastSequence">Sequence of the last event the store holds: the worker appends from the next one, again if need be.</param>
public readonly record struct AdoptResult(BeginStatus Status, Fence Fence, long LastSequence);
