using System.Collections;

namespace Serverless.Scaling.Planning;

/// <summary>Reasons that are put into words when they are read first: most decisions repeat the one before, and nobody reads them. Thread-safe.</summary>
internal sealed class LazyReasons(Func<IReadOnlyList<string>> tell) : IReadOnlyList<string>
{
    // Two readers at once put the same numbers into the same words.
    private readonly Lazy<IReadOnlyList<string>> _told = new(tell, LazyThreadSafetyMode.PublicationOnly);

    public int Count => Told.Count;

    public string this[int index] => Told[index];

    private IReadOnlyList<string> Told => _told.Value;

    public IEnumerator<string> GetEnumerator() => Told.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
