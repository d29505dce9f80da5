namespace Serverless.Catalog;

/// <summary>Model × flavor: the unit of scaling.</summary>
/// <param name="Name">Unique in the catalogue.</param>
/// <param name="Model">The model it serves.</param>
/// <param name="Flavor">How and on what it runs.</param>
public sealed record Pool(PoolName Name, Model Model, Flavor Flavor)
{
    /// <summary>Whether a replica of that pool is as good as one of this: the same files, run by the same engine with the same settings. Bounds, prices and words about the model are nothing that a replica has.</summary>
    public bool RunsAs(Pool other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Model.Source == other.Model.Source && Model.Backend == other.Model.Backend && Model.ContextTokens == other.Model.ContextTokens && Model.Sampling == other.Model.Sampling && Model.Runtime == other.Model.Runtime
            && Flavor.AcceleratorClass == other.Flavor.AcceleratorClass && Flavor.Container == other.Flavor.Container && Flavor.Same(Settings(Flavor), Settings(other.Flavor));
    }

    /// <summary>The same, with the model's files at a path of this machine.</summary>
    public Pool At(string path) => this with { Model = Model with { Source = new ModelSource(ModelSource.FileScheme, path) } };

    private static Dictionary<string, string> Settings(Flavor flavor) => flavor.Params.Where(param => param.Key != Flavor.PriceParam).ToDictionary(StringComparer.Ordinal);
}
