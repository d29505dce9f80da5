using Serverless.Catalog;

namespace Serverless.Scaling.Planning;

/// <summary>What one pool wants of its class.</summary>
/// <param name="Pool">Which.</param>
/// <param name="Held">Replicas that are not taken from it: its model's least, what running work is in, and one while there is work.</param>
/// <param name="Wanted">Replicas it would be given without a budget.</param>
public readonly record struct BudgetClaim(PoolName Pool, int Held, int Wanted);
