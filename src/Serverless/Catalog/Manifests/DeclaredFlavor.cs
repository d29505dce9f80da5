namespace Serverless.Catalog.Manifests;

/// <summary>A flavor and the fields it was read from.</summary>
internal sealed record DeclaredFlavor(Flavor Flavor, ManifestFields Fields);
