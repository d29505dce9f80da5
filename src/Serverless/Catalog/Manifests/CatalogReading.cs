namespace Serverless.Catalog.Manifests;

/// <summary>What reading manifests came to.</summary>
/// <param name="Catalog">The catalogue; null if there is an error: half a catalogue is none.</param>
/// <param name="Errors">Everything that is wrong, in the order of the manifests.</param>
/// <param name="Warnings">Fields that are understood and have no effect in this shape, and what is used instead.</param>
public sealed record CatalogReading(ModelCatalog? Catalog, IReadOnlyList<CatalogFinding> Errors, IReadOnlyList<CatalogFinding> Warnings)
{
    /// <summary>The models in whose manifests nothing is wrong, whatever is in the others: for a reader who cannot send the manifests back, as one of a published catalogue that another release checked.</summary>
    public ModelCatalog Sound { get; init; } = new([]);
}
