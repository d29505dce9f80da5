namespace Serverless.Cli.Client;

/// <summary>A pool as <c>GET /admin/pools</c> tells it.</summary>
internal sealed record PoolRow(string Name, string State, int Desired, int Ready, long PendingTokens, long RunningTokens, double KvUsed, string? LastReason);
