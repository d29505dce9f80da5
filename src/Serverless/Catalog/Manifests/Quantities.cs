using System.Text.RegularExpressions;

namespace Serverless.Catalog.Manifests;

/// <summary>Quantities as Kubernetes writes them.</summary>
internal static partial class Quantities
{
    public static bool IsOne(string text) => Pattern().IsMatch(text);

    [GeneratedRegex("^[0-9]+([.][0-9]+)?([eE][0-9]{1,2}|m|k|[MGTPE]|[KMGTPE]i)?$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Pattern();
}
