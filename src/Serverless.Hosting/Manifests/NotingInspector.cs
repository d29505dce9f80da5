using Serverless.Catalog;
using Serverless.Catalog.Manifests;

namespace Serverless.Hosting.Manifests;

/// <summary>Notes which files it was asked about and what they said. A file that is as it was when <paramref name="before"/> was asked is not opened again.</summary>
internal sealed class NotingInspector(IModelInspector inner, NotingInspector? before = null) : IModelInspector
{
    private readonly Dictionary<string, Note> _notes = new(StringComparer.Ordinal);

    /// <summary>The files, as they were before they were opened: a change meanwhile is seen by the next look.</summary>
    public IReadOnlyList<ModelFile> Files => [.. _notes.Values.Select(note => note.File)];

    /// <summary>What each said that could be read.</summary>
    public IEnumerable<(string Path, ModelFacts Facts)> Facts => _notes.Values.Where(note => note.Facts is not null).Select(note => (note.File.Path, note.Facts!));

    public ModelFacts? Known(ModelSource source) => inner.Known(source);

    public ModelFacts? Inspect(string path, out string? fault)
    {
        var file = ModelFile.Of(path);
        if (before?._notes.TryGetValue(path, out var note) != true || note!.File != file || note.Facts is null)
        {
            var facts = inner.Inspect(path, out var reason);
            note = new Note(file, facts is null || !file.Exists ? facts : facts with { Version = file.Version, Bytes = file.Length }, reason);
        }

        _notes[path] = note;
        fault = note.Fault;
        return note.Facts;
    }

    private sealed record Note(ModelFile File, ModelFacts? Facts, string? Fault);
}
