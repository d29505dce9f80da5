using System.Globalization;
using Serverless.Catalog.Manifests;

namespace Serverless.Hosting.Manifests;

/// <summary>The manifests hold no valid catalogue; the message lists everything that is wrong.</summary>
public sealed class CatalogException(string folder, IReadOnlyList<CatalogFinding> errors)
    : Exception(string.Create(CultureInfo.InvariantCulture, $"The manifests in {folder} have {errors.Count} error{(errors.Count == 1 ? "" : "s")}:\n{string.Join('\n', errors)}"))
{
    /// <summary>Everything that is wrong.</summary>
    public IReadOnlyList<CatalogFinding> Errors => errors;
}
