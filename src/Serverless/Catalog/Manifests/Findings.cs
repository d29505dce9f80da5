namespace Serverless.Catalog.Manifests;

/// <summary>Collects what is found in all manifests of one reading.</summary>
internal sealed class Findings
{
    private const int LongestValue = 80;

    private readonly HashSet<Manifest> _faulty = new(ReferenceEqualityComparer.Instance);

    public List<CatalogFinding> Errors { get; } = [];

    public List<CatalogFinding> Warnings { get; } = [];

    public void Error(Manifest manifest, string field, string? value, string message)
    {
        _faulty.Add(manifest);
        Errors.Add(Finding(manifest, field, value, message));
    }

    /// <summary>Whether nothing was found wrong with it.</summary>
    public bool IsSound(Manifest manifest) => !_faulty.Contains(manifest);

    public void Warn(Manifest manifest, string field, string? value, string message) => Warnings.Add(Finding(manifest, field, value, message));

    private static CatalogFinding Finding(Manifest manifest, string field, string? value, string message)
    {
        if (value?.Length > LongestValue) value = value[..LongestValue] + "…";
        return new CatalogFinding(manifest.Source, manifest.Document, LineOf(manifest, field), field, value, message);
    }

    /// <summary>A missing field has no line; the nearest object around it has.</summary>
    private static int? LineOf(Manifest manifest, string field)
    {
        while (true)
        {
            if (manifest.Lines.TryGetValue(field, out var line)) return line;
            if (field.Length == 0) return null;
            field = field[..Math.Max(0, field.LastIndexOfAny(['.', '[']))];
        }
    }
}
