using System.Globalization;
using Serverless.Catalog;

namespace Serverless.Worker.Engines;

/// <summary>Reads a flavor's engine parameters; a key that the engine does not know is a fault, not silence.</summary>
internal sealed class FlavorParams(Pool pool)
{
    private readonly HashSet<string> _read = new(StringComparer.Ordinal);

    public int Integer(string key, int fallback, int least, int most) => (int)Number(key, fallback, least, most);

    public double Number(string key, double fallback, double least, double most)
    {
        _read.Add(key);
        if (!pool.Flavor.Params.TryGetValue(key, out var text)) return fallback;
        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most) return value;

        throw new EngineLoadException(string.Create(CultureInfo.InvariantCulture, $"Pool '{pool.Name}': parameter '{key}' is '{text}'; {least} to {most} is allowed."));
    }

    public void Finish()
    {
        if (pool.Flavor.Params.Keys.FirstOrDefault(key => !_read.Contains(key)) is { } unknown)
            throw new EngineLoadException($"Pool '{pool.Name}': parameter '{unknown}' is not known to backend '{pool.Model.Backend}'; known are: {string.Join(", ", _read.Order(StringComparer.Ordinal))}.");
    }
}
