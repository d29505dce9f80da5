using Serverless.Catalog;

namespace Serverless;

/// <summary>A catalogue of models that a test names; <see cref="Current"/> may be replaced.</summary>
internal sealed class TestCatalog(ModelCatalog catalog) : ICatalogSource
{
    public ModelCatalog Current { get; set; } = catalog;

    public static TestCatalog Of(params ModelName[] models) => new(CatalogOf(models));

    public static ModelCatalog CatalogOf(params ModelName[] models) => new([.. models.Select(Model)]);

    private static Model Model(ModelName name) => new()
    {
        Name = name,
        Family = "test",
        OwnedBy = "tests",
        CreatedAt = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000),
        Source = new ModelSource("simulated", name.Value),
        ContextTokens = 1000,
        Backend = "simulated",
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
    };
}
