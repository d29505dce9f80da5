namespace Serverless.Catalog;

/// <summary>The name a client asks for: OpenModel's <c>metadata.name</c>. Compared by ordinal.</summary>
/// <param name="Value">Not empty.</param>
public readonly record struct ModelName(string Value)
{
    /// <inheritdoc/>
    public override string ToString() => Value;
}
