using Grpc.Core;
using Serverless.Catalog;
using Serverless.Scaler.Protos;

namespace Serverless.Scaler.Keda;

/// <summary>Which pool a ScaledObject means: its <c>pool</c> metadata, else its own name.</summary>
internal static class PoolReference
{
    private const string PoolKey = "pool";

    /// <summary>What KEDA itself puts into the metadata, and what it forwards from TriggerAuthentication by name.</summary>
    private static readonly HashSet<string> KedaKeys = new(StringComparer.Ordinal) { "scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey" };

    /// <summary>The pool's name; whether the catalogue knows it is another question.</summary>
    public static PoolName Name(ScaledObjectRef reference) =>
        new(reference.ScalerMetadata.TryGetValue(PoolKey, out var pool) && pool.Length > 0 ? pool : reference.Name);

    /// <summary>Every fault of the metadata at once.</summary>
    /// <exception cref="RpcException"><see cref="StatusCode.InvalidArgument"/>, naming keys, values and what is allowed.</exception>
    public static void Validate(ScaledObjectRef reference, ModelCatalog catalog)
    {
        List<string> faults = [];
        foreach (var (key, value) in reference.ScalerMetadata)
        {
            if (key != PoolKey && !KedaKeys.Contains(key)) faults.Add($"metadata '{key}' = '{value}' is not known; allowed is '{PoolKey}'");
        }

        var pool = Name(reference);
        if (catalog.Find(pool) is null) faults.Add($"pool '{pool}' is not in the catalogue; there are: {string.Join(", ", catalog.Pools.Select(known => known.Name))}");

        if (faults.Count > 0) throw new RpcException(new Status(StatusCode.InvalidArgument, $"ScaledObject {reference.Namespace}/{reference.Name}: {string.Join("; ", faults)}."));
    }
}
