namespace Serverless.Requests;

/// <summary>The right to append to one request's log; only the newest one has it.</summary>
/// <param name="StoreRun">Which run of the store gave it: a store that lost data has another.</param>
/// <param name="Attempt">From 1.</param>
public readonly record struct Fence(string StoreRun, int Attempt);
