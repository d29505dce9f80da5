using System.Globalization;

namespace Serverless.Catalog.Manifests;

/// <summary>What is wrong with a field of a manifest, or has no effect here.</summary>
/// <param name="Source">Where the manifest is from.</param>
/// <param name="Document">Its place in the source, from 1.</param>
/// <param name="Line">The field's line, from 1; null where it is not known.</param>
/// <param name="Field">Path of the field; empty for the document as a whole.</param>
/// <param name="Value">What was written there, shortened; null where nothing was.</param>
/// <param name="Message">What is wrong, the limit, and what to write instead.</param>
public sealed record CatalogFinding(string Source, int Document, int? Line, string Field, string? Value, string Message)
{
    /// <summary>One line for people: <c>file:line: field 'value' message</c>.</summary>
    public override string ToString()
    {
        var place = Line is { } line ? string.Create(CultureInfo.InvariantCulture, $"{Source}:{line}") : string.Create(CultureInfo.InvariantCulture, $"{Source} (document {Document})");
        var field = Field.Length == 0 ? "the document" : Field;
        return Value is null ? $"{place}: {field} {Message}" : $"{place}: {field} '{Value}' {Message}";
    }
}
