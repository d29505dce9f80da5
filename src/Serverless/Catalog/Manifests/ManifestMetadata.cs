using System.Text.RegularExpressions;

namespace Serverless.Catalog.Manifests;

/// <summary><c>metadata</c>, the same in every kind.</summary>
internal static partial class ManifestMetadata
{
    /// <summary>What a cluster writes by itself.</summary>
    private static readonly string[] FromServer =
        ["uid", "resourceVersion", "generation", "managedFields", "ownerReferences", "finalizers", "deletionTimestamp", "selfLink"];

    /// <summary>Reads it; the name is null if missing or wrong.</summary>
    public static (string? Name, DateTimeOffset? Created) Read(ManifestFields document)
    {
        if (document.Object("metadata") is not { } metadata)
        {
            if (!document.Has("metadata")) document.Error("metadata", "is missing; it holds the name");
            return default;
        }

        foreach (var name in FromServer) metadata.Has(name);
        metadata.Map("labels", numbers: false);
        metadata.WithoutEffect("namespace", "has no effect outside a cluster");
        foreach (var (key, _) in metadata.Map("annotations", numbers: false))
        {
            if (key.StartsWith("llmaz.io/", StringComparison.Ordinal)) metadata.Warn("annotations", $"holds {key}, which has no effect here");
        }

        return (NameOf(metadata), metadata.Timestamp("creationTimestamp"));
    }

    private static string? NameOf(ManifestFields metadata)
    {
        var name = metadata.RequiredText("name", 128);
        if (name is null || NamePattern().IsMatch(name)) return name;
        metadata.Error("name", "must begin and end with a letter or digit and hold only letters, digits and . _ : / -");
        return null;
    }

    [GeneratedRegex("^[A-Za-z0-9]([A-Za-z0-9._:/-]*[A-Za-z0-9])?$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex NamePattern();
}
