using System.Globalization;

namespace Serverless.Catalog.Manifests;

/// <summary>How errors name a field: <c>spec.inferenceConfig.flavors[0].name</c>.</summary>
public static class FieldPath
{
    /// <summary>The field <paramref name="name"/> of the object at <paramref name="parent"/>; the document itself is the empty path.</summary>
    public static string Member(string parent, string name) => string.IsNullOrEmpty(parent) ? name : $"{parent}.{name}";

    /// <summary>The item <paramref name="index"/> of the list at <paramref name="parent"/>.</summary>
    public static string Item(string parent, int index) => string.Create(CultureInfo.InvariantCulture, $"{parent}[{index}]");
}
