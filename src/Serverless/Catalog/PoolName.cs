namespace Serverless.Catalog;

/// <summary>The name of one pool, model × flavor: <c>{model}-{flavor}</c>; also its ScaledObject's and Deployment's name, so a DNS label.</summary>
/// <param name="Value">Not empty.</param>
public readonly record struct PoolName(string Value)
{
    /// <inheritdoc/>
    public override string ToString() => Value;
}
