using System.Globalization;

namespace Serverless.Catalog.Manifests;

/// <summary>A param that flavors may set: a number within bounds, or any text where there are none.</summary>
internal sealed record FlavorParam(string Name, double? Min, double? Max, bool Whole)
{
    /// <summary>The only values there are; empty: any.</summary>
    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>Null if <paramref name="value"/> is allowed, else what is.</summary>
    public string? Check(string value)
    {
        if (Choices.Count > 0) return Choices.Contains(value) ? null : $"must be {string.Join(", ", Choices.Take(Choices.Count - 1))} or {Choices[^1]}";
        if (Min is not { } min || Max is not { } max) return null;

        var styles = Whole ? NumberStyles.AllowLeadingSign : NumberStyles.Float;
        if (double.TryParse(value, styles, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max) return null;
        return string.Create(CultureInfo.InvariantCulture, $"must be a {(Whole ? "whole " : "")}number from {min} to {max}");
    }
}
