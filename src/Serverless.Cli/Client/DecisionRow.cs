namespace Serverless.Cli.Client;

/// <summary>One decision about a pool as the admin face tells it.</summary>
internal sealed record DecisionRow(DateTimeOffset At, int Replicas, bool Active, IReadOnlyList<string> Reasons, IReadOnlyDictionary<string, string> Inputs);
