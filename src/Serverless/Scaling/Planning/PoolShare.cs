namespace Serverless.Scaling.Planning;

/// <summary>A pool's part of its role's load.</summary>
/// <param name="Need">What it would need for all of it.</param>
/// <param name="Started">Replicas for the part it is given.</param>
/// <param name="Kept">Replicas that stay because pools before it do not carry their part yet; they are not started for it.</param>
/// <param name="Note">Why it is not the whole load; null when it is.</param>
internal sealed record PoolShare(PoolNeed Need, int Started, int Kept, string? Note)
{
    /// <summary>Replicas to ask for.</summary>
    public int Replicas => Math.Max(Started, Kept);
}
