using System.Collections;

namespace Serverless.Scaling;

/// <summary>Reasons that are put into words when they are read first: most decisions repeat the one before, and nobody reads them. Thread-safe.</summary>
internal sealed class LazyReasons(Func<IReadOnlyList<string>> tell) : IReadOnlyList<string>
{
    private Func<IReadOnlyList<string>>? _tell = tell;
    private IReadOnlyList<string>? _told;

    public int Count => Told.Count;

    public string this[int index] => Told[index];

    private IReadOnlyList<string> Told
    {
        get
        {
            if (Volatile.Read(ref _told) is { } told) return told;

            // Two readers at once put the same numbers into the same words.
            if (Volatile.Read(ref _tell) is { } words) Volatile.Write(ref _told, words());
            Volatile.Write(ref _tell, null);
            return Volatile.Read(ref _told)!;
        }
    }

    public IEnumerator<string> GetEnumerator() => Told.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
