using Serverless.Catalog;
using Serverless.Catalog.Manifests;

namespace Serverless.Worker.Engines;

/// <summary>Reads a flavor's engine parameters by the engine's table; a key that is not in it is a fault, not silence.</summary>
internal sealed class FlavorParams
{
    private readonly Pool _pool;

    /// <exception cref="EngineLoadException">A parameter is none of the table's.</exception>
    public FlavorParams(Pool pool, IReadOnlyList<FlavorParam> table)
    {
        _pool = pool;
        var unknown = pool.Flavor.Params.Keys.FirstOrDefault(key => key != Flavor.PriceParam && table.All(param => param.Name != key)); // the price is the scaler's
        if (unknown is not null)
            throw new EngineLoadException($"Pool '{pool.Name}': parameter '{unknown}' is not known to backend '{pool.Model.Backend}'; known are: {string.Join(", ", table.Select(param => param.Name).Order(StringComparer.Ordinal))}.");
    }

    public int Integer(FlavorParam param, int otherwise = 0) => (int)Number(param, otherwise);

    public double Number(FlavorParam param, double otherwise = 0)
    {
        try
        {
            return param.Read(_pool.Flavor.Params, otherwise);
        }
        catch (FormatException exception)
        {
            throw new EngineLoadException($"Pool '{_pool.Name}': parameter {exception.Message}.", exception);
        }
    }
}
