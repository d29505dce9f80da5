using Serverless.Catalog;
using Serverless.Feeds;

namespace Serverless;

/// <summary>A catalogue of models that a test names; <see cref="Current"/> may be replaced.</summary>
internal sealed class TestCatalog : ICatalogSource
{
    private readonly LatestValue<ModelCatalog> _current = new();

    public TestCatalog(ModelCatalog catalog) => _current.Set(catalog);

    public ModelCatalog Current
    {
        get => _current.Value!;
        set => _current.Set(value);
    }

    public IAsyncEnumerable<ModelCatalog> WatchAsync(CancellationToken cancellationToken) => _current.WatchAsync(cancellationToken);

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
