using System.Text.Json;

namespace Serverless.Cli.Client;

/// <summary>A pool as <c>GET /admin/pools</c> tells it, and as it came.</summary>
internal sealed record PoolRow(string Name, string Model, string State, int Desired, int Ready, long PendingTokens, long RunningTokens, double KvUsed, string? LastReason, JsonElement Json);
