using System.Collections.Concurrent;
using System.Globalization;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>What the clients of a run saw. Thread-safe.</summary>
internal sealed class ChaosLedger
{
    private readonly ConcurrentDictionary<string, int> _served = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> _failures = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _violations = new();
    private readonly ConcurrentQueue<string> _story = new();
    private readonly long _began = TimeProvider.System.GetTimestamp();

    /// <summary>What must not be.</summary>
    public IReadOnlyCollection<string> Violations => _violations;

    public int Served => _served.Values.Sum();

    /// <summary>What happened, with its time.</summary>
    public string Story => string.Join('\n', _story);

    public string Summary => $"served {Served}: {Listed(_served)}; failures that clients could retry {_failures.Values.Sum()}: {Listed(_failures)}; violations {_violations.Count}";

    /// <summary>A request was answered as an undisturbed run would have.</summary>
    public void Serve(ChaosKind kind) => _served.AddOrUpdate(kind.ToString(), 1, (_, count) => count + 1);

    /// <summary>A client was told to try again, or found out itself.</summary>
    public void Fail(string how) => _failures.AddOrUpdate(how, 1, (_, count) => count + 1);

    public void Violate(int number, ChaosKind kind, string what)
    {
        _violations.Enqueue(string.Create(CultureInfo.InvariantCulture, $"[{Elapsed:F1} s] request {number} ({kind}): {what}"));
        Tell($"VIOLATION by request {number} ({kind}): {what}");
    }

    public void Tell(string what) => _story.Enqueue(string.Create(CultureInfo.InvariantCulture, $"[{Elapsed:F1} s] {what}"));

    private double Elapsed => TimeProvider.System.GetElapsedTime(_began).TotalSeconds;

    private static string Listed(IReadOnlyDictionary<string, int> counts) => string.Join(", ", counts.OrderBy(count => count.Key, StringComparer.Ordinal).Select(count => string.Create(CultureInfo.InvariantCulture, $"{count.Key} {count.Value}")));
}
