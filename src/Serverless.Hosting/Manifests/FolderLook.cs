using Serverless.Catalog.Manifests;

namespace Serverless.Hosting.Manifests;

/// <summary>
/// A look at a folder of manifests: the bytes of its files, and of the model files that they name size and time. Looks that agree saw the same, so what was made of one need not
/// be made again: a thousand models take a fifth of a second.
/// </summary>
internal sealed record FolderLook(IReadOnlyList<(string Path, byte[] Bytes)> Files, IReadOnlyList<CatalogFinding> Errors, IReadOnlyList<ModelFile> Models)
{
    /// <summary>Looks now. The model files are those that the manifests were last read to name.</summary>
    public static FolderLook At(string folder, IEnumerable<ModelFile> models)
    {
        var errors = new List<CatalogFinding>();
        return new FolderLook(ManifestFolder.Read(folder, errors), errors, [.. models.Select(model => ModelFile.Of(model.Path))]);
    }

    public bool Agrees(FolderLook other) =>
        Files.Count == other.Files.Count
        && Files.Zip(other.Files).All(pair => pair.First.Path == pair.Second.Path && pair.First.Bytes.AsSpan().SequenceEqual(pair.Second.Bytes))
        && Errors.SequenceEqual(other.Errors)
        && Models.SequenceEqual(other.Models);
}
