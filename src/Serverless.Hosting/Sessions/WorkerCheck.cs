using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using Serverless.Catalog;
using Serverless.Sessions;

namespace Serverless.Hosting.Sessions;

/// <summary>Whether whoever says hello may be that worker: what it says is held against the catalogue and against its certificate. A worker receives prompts, so it is not taken at its word.</summary>
internal static class WorkerCheck
{
    /// <summary>Engines round up to whole blocks and batches; beyond twice what the flavor says it is no rounding.</summary>
    private const int Leeway = 2;

    // Where the flavor says nothing.
    private const int MostSlots = 4096;
    private const long MostKvTokens = 100_000_000;

    /// <summary>Why it is refused, as the rest of a sentence; null: it may.</summary>
    public static string? Find(WorkerDescription worker, ModelCatalog catalog)
    {
        if (catalog.Find(worker.Pool) is not { } pool) return $"its pool '{worker.Pool}' is not in the catalogue of this gateway";
        if (pool.Model.Name != worker.Model) return $"its pool '{worker.Pool}' serves '{pool.Model.Name}', not '{worker.Model}'";
        if (worker.Loading) return null;

        return Exceeds(worker.Slots, Bound(pool, "slots", MostSlots), "slots") ?? Exceeds(worker.KvCapacityTokens, Bound(pool, "kvTokens", MostKvTokens), "KV tokens");

        string? Exceeds(long said, long most, string what) =>
            said <= most ? null : string.Create(CultureInfo.InvariantCulture, $"it says {said} {what}; pool '{worker.Pool}' may have {most}");
    }

    /// <summary>
    /// Whether the certificate speaks for that worker: one of its names is the worker's, or the worker's but for the part after the last dash, which differs with each start, or that
    /// of its pool (a certificate for all replicas of it), with which the worker's name must begin.
    /// </summary>
    public static bool SpeaksFor(X509Certificate2 certificate, WorkerDescription worker)
    {
        var lastDash = worker.Worker.LastIndexOf('-');
        var start = lastDash > 0 ? worker.Worker[..lastDash] : worker.Worker;
        var pool = worker.Worker.StartsWith(worker.Pool.Value + "-", StringComparison.OrdinalIgnoreCase) ? worker.Pool.Value : worker.Worker;
        return Names(certificate).Any(name => new[] { worker.Worker, start, pool }.Contains(name, StringComparer.OrdinalIgnoreCase));
    }

    private static IEnumerable<string> Names(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(names => names.EnumerateDnsNames()).Append(certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false));

    private static long Bound(Pool pool, string parameter, long otherwise) =>
        pool.Flavor.Params.TryGetValue(parameter, out var text) && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value > 0
            ? (long)Math.Min(long.MaxValue / 2, value * Leeway)
            : otherwise;
}
