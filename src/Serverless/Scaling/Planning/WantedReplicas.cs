namespace Serverless.Scaling.Planning;

/// <summary>What one plan wanted.</summary>
/// <param name="At">When.</param>
/// <param name="Replicas">How many.</param>
public readonly record struct WantedReplicas(DateTimeOffset At, int Replicas);
