namespace Serverless.Documents;

/// <summary>Under which condition a document is saved.</summary>
/// <param name="ETag">Null: whatever is there; empty: only if nothing is there; else only if the stored one has this tag.</param>
public readonly record struct SaveCondition(string? ETag)
{
    /// <summary>Whatever is there, the last writer wins.</summary>
    public static SaveCondition Any => default;

    /// <summary>Only if there is no such document.</summary>
    public static SaveCondition New => new("");

    /// <summary>Only if nobody saved it since <paramref name="document"/> was read.</summary>
    public static SaveCondition Unchanged(Document document)
    {
        ArgumentNullException.ThrowIfNull(document);
        return new(document.ETag);
    }
}
