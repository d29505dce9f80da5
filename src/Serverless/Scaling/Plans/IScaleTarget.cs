namespace Serverless.Scaling.Plans;

/// <summary>Port of the embedded shape: what KEDA and the HPA do to a Deployment's scale subresource, done to a pool of this machine.</summary>
public interface IScaleTarget
{
    /// <summary>Asks for that many replicas of a pool. Returns once asked; replicas come and drain on their own. Idempotent.</summary>
    ValueTask ScaleAsync(Catalog.PoolName pool, int replicas, CancellationToken cancellationToken);
}
