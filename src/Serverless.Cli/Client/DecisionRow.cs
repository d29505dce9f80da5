using System.Text.Json;

namespace Serverless.Cli.Client;

/// <summary>One decision about a pool as the admin face tells it, and as it came.</summary>
internal sealed record DecisionRow(DateTimeOffset At, int Replicas, bool Active, IReadOnlyList<string> Reasons, IReadOnlyDictionary<string, string> Inputs, JsonElement Json);
