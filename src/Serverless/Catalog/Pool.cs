namespace Serverless.Catalog;

/// <summary>Model × flavor: the unit of scaling.</summary>
/// <param name="Name">Unique in the catalogue.</param>
/// <param name="Model">The model it serves.</param>
/// <param name="Flavor">How and on what it runs.</param>
public sealed record Pool(PoolName Name, Model Model, Flavor Flavor);
