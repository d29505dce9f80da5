using Serverless.Catalog;
using Serverless.Catalog.Engines;

namespace Serverless.Engines;

/// <summary>Reads a flavor's engine parameters by the engine's table; a key that is not in it is a fault, not silence.</summary>
public sealed class FlavorParams
{
    private readonly Pool _pool;

    /// <summary>Those of a pool that the engine is to run.</summary>
    /// <exception cref="EngineLoadException">A parameter is none of the table's.</exception>
    public FlavorParams(Pool pool, EngineDescriptor engine)
    {
        ArgumentNullException.ThrowIfNull(pool);
        ArgumentNullException.ThrowIfNull(engine);
        _pool = pool;
        var unknown = pool.Flavor.Params.Keys.FirstOrDefault(key => engine.AllParams.All(param => param.Name != key));
        if (unknown is not null)
            throw new EngineLoadException($"Pool '{pool.Name}': parameter '{unknown}' is not known to backend '{pool.Model.Backend}'; known are: {string.Join(", ", engine.Params.Select(param => param.Name).Order(StringComparer.Ordinal))}.");
    }

    /// <summary>A whole number.</summary>
    /// <exception cref="EngineLoadException">It is out of its bounds.</exception>
    public int Integer(FlavorParam param, int otherwise = 0) => (int)Number(param, otherwise);

    /// <summary>A number; <paramref name="otherwise"/> where neither the flavor nor the table has one.</summary>
    /// <exception cref="EngineLoadException">It is out of its bounds.</exception>
    public double Number(FlavorParam param, double otherwise = 0)
    {
        ArgumentNullException.ThrowIfNull(param);
        try
        {
            return param.Read(_pool.Flavor.Params, otherwise);
        }
        catch (FormatException exception)
        {
            throw new EngineLoadException($"Pool '{_pool.Name}': parameter {exception.Message}.", exception);
        }
    }

    /// <summary>A text; null where the flavor has none.</summary>
    public string? Text(FlavorParam param)
    {
        ArgumentNullException.ThrowIfNull(param);
        return _pool.Flavor.Params.GetValueOrDefault(param.Name);
    }
}
