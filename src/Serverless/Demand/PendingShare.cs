namespace Serverless.Demand;

/// <summary>What one organization waits for.</summary>
/// <param name="Organization">Whose.</param>
/// <param name="Requests">Its pending requests.</param>
/// <param name="Tokens">Their prompt and expected output tokens.</param>
public readonly record struct PendingShare(string Organization, int Requests, long Tokens);
