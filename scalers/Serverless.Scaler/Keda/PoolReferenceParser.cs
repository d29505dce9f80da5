using System.Globalization;
using Serverless.Catalog;
using Serverless.Scaler.Protos;

namespace Serverless.Scaler.Keda;

/// <summary>
/// Reads a trigger's metadata. A key may end in <c>FromEnv</c>: KEDA then sends the value of that environment variable of the target's container under the key as written, and leaves it out where
/// the variable is empty. Reading never fails: what cannot be used counts as its default and is told beside it.
/// </summary>
internal static class PoolReferenceParser
{
    public const string DefaultMetric = "desired-replicas";

    private const string FromEnv = "FromEnv";
    private const int LongestLabel = 63;

    private static readonly TimeSpan DefaultHeartbeat = TimeSpan.FromSeconds(5);
    private static readonly string[] Ours = ["pool", "model", "flavor", "metricName", "heartbeatSeconds"];

    /// <summary>KEDA's own keys, which it sends along; those of TriggerAuthentication it keeps to itself.</summary>
    private static readonly HashSet<string> Kedas = new(StringComparer.Ordinal) { "scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey" };

    /// <summary>What the reference means, and every fault of it; the catalogue is not asked.</summary>
    public static PoolReference Parse(ScaledObjectRef reference, List<string>? faults = null)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in reference.ScalerMetadata) Sort(key, value, values, faults);

        return new PoolReference
        {
            Pool = Pool(reference, values, faults),
            MetricName = Metric(values, faults),
            Heartbeat = Heartbeat(values, faults),
        };
    }

    /// <summary>Also: is the pool in the catalogue? An empty catalogue has not been read yet and is not held against it.</summary>
    public static PoolReference Parse(ScaledObjectRef reference, ModelCatalog catalog, List<string> faults)
    {
        var parsed = Parse(reference, faults);
        if (catalog.Models.Count > 0 && catalog.Find(parsed.Pool) is null) faults.Add($"pool '{Shown(parsed.Pool.Value)}' is not in the catalogue; there are {Some(catalog)}");
        return parsed;
    }

    private static void Sort(string key, string value, Dictionary<string, string> values, List<string>? faults)
    {
        if (Kedas.Contains(key)) return;

        var name = key.EndsWith(FromEnv, StringComparison.Ordinal) ? key[..^FromEnv.Length] : key;
        if (Kedas.Contains(name)) return;
        if (!Ours.Contains(name)) faults?.Add($"metadata '{Shown(key)}' = '{Shown(value)}' is not known; allowed are {string.Join(", ", Ours.Select(known => $"'{known}'"))}, each also with {FromEnv}");
        else if (value.Length == 0) faults?.Add($"metadata '{key}' is empty; leave it out or give it a value");
        else if (!values.TryAdd(name, value)) faults?.Add($"metadata '{name}' is given twice, with and without {FromEnv}; keep one");
    }

    private static PoolName Pool(ScaledObjectRef reference, Dictionary<string, string> values, List<string>? faults)
    {
        var (pool, model, flavor) = (values.GetValueOrDefault("pool"), values.GetValueOrDefault("model"), values.GetValueOrDefault("flavor"));
        if (pool is not null && (model ?? flavor) is not null) faults?.Add("metadata 'pool' names the pool already; leave out 'model' and 'flavor'");
        if (pool is null && (model is null) != (flavor is null)) faults?.Add($"metadata '{(model is null ? "flavor" : "model")}' needs '{(model is null ? "model" : "flavor")}' beside it: a pool is a model and a flavor");

        return pool is not null ? new PoolName(pool) : model is not null && flavor is not null ? PoolName.Of(new ModelName(model), flavor) : new PoolName(reference.Name);
    }

    private static string Metric(Dictionary<string, string> values, List<string>? faults)
    {
        if (!values.TryGetValue("metricName", out var name)) return DefaultMetric;
        if (name.Length <= LongestLabel && name.All(character => character is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-')) return name;

        faults?.Add($"metadata 'metricName' = '{Shown(name)}' must be 1 to {LongestLabel} of a-z, 0-9 and '-': it is part of a path, and KEDA asks in lower case");
        return DefaultMetric;
    }

    private static TimeSpan Heartbeat(Dictionary<string, string> values, List<string>? faults)
    {
        if (!values.TryGetValue("heartbeatSeconds", out var text)) return DefaultHeartbeat;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 1 and <= 60) return TimeSpan.FromSeconds(seconds);

        faults?.Add($"metadata 'heartbeatSeconds' = '{Shown(text)}' must be a whole number from 1 to 60");
        return DefaultHeartbeat;
    }

    private static string Some(ModelCatalog catalog)
    {
        const int Most = 10;
        var names = catalog.Pools.Take(Most + 1).Select(pool => pool.Name.Value).ToArray();
        return names.Length > Most ? $"{string.Join(", ", names.Take(Most))}, …" : string.Join(", ", names);
    }

    private static string Shown(string value) => value.Length <= 100 ? value : $"{value[..100]}…";
}
