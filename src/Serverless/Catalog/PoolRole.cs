namespace Serverless.Catalog;

/// <summary>Which part of a request a pool's replicas do.</summary>
public enum PoolRole
{
    /// <summary>Prefill and decode.</summary>
    Both,

    /// <summary>Prefill alone.</summary>
    Prefill,

    /// <summary>Decode alone.</summary>
    Decode,
}
