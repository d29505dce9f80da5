namespace Serverless.Catalog;

/// <summary>Port: where the catalogue comes from. Files in the embedded shape, custom resources in a cluster.</summary>
public interface ICatalogSource
{
    /// <summary>The catalogue now. Never null, never throws: a bad change keeps the last good one and is reported by the source.</summary>
    ModelCatalog Current { get; }
}
