namespace Serverless.Hosting.Manifests;

/// <summary>
/// Files that somebody keeps writing, as a download of hours or a sidecar that touches one each second: they are followed when they rest, and hold back no other file meanwhile.
/// </summary>
internal sealed class RestlessFiles(FolderLook first)
{
    /// <summary>Looks in a row of which each saw the file changed.</summary>
    public const int Looks = 10;

    private readonly Dictionary<string, int> _changes = new(StringComparer.Ordinal);
    private FolderLook _before = first;

    /// <summary>A look with the restless files as they were when they were last read, or without them; and those that are restless from now on.</summary>
    public (FolderLook Look, IReadOnlyList<string> New) Settled(FolderLook look, FolderLook lastRead)
    {
        var changed = Changed(look.Files, _before.Files, file => file.Path, (one, other) => one.Bytes.AsSpan().SequenceEqual(other.Bytes))
            .Concat(Changed(look.Models, _before.Models, file => file.Path, (one, other) => one == other)).ToHashSet(StringComparer.Ordinal);
        _before = look;
        foreach (var rested in _changes.Keys.Except(changed).ToArray()) _changes.Remove(rested);
        foreach (var path in changed) _changes[path] = _changes.GetValueOrDefault(path) + 1;
        if (!_changes.Values.Any(looks => looks >= Looks)) return (look, []);

        return (look with { Files = AsRead(look.Files, lastRead.Files, file => file.Path), Models = AsRead(look.Models, lastRead.Models, file => file.Path) }, [.. _changes.Where(file => file.Value == Looks).Select(file => file.Key)]);
    }

    private static IEnumerable<string> Changed<T>(IReadOnlyList<T> files, IReadOnlyList<T> before, Func<T, string> path, Func<T, T, bool> same)
    {
        var known = before.ToDictionary(path, StringComparer.Ordinal);
        return files.Where(file => !known.TryGetValue(path(file), out var other) || !same(file, other)).Select(path);
    }

    private List<T> AsRead<T>(IReadOnlyList<T> files, IReadOnlyList<T> lastRead, Func<T, string> path)
    {
        var known = lastRead.ToDictionary(path, StringComparer.Ordinal);
        return [.. files.Where(file => !IsRestless(path(file)) || known.ContainsKey(path(file))).Select(file => IsRestless(path(file)) ? known[path(file)] : file)];
    }

    private bool IsRestless(string path) => _changes.GetValueOrDefault(path) >= Looks;
}
