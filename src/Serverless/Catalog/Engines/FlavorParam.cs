using System.Globalization;

namespace Serverless.Catalog.Engines;

/// <summary>A param that flavors may set: a number within bounds, or any text where there are none.</summary>
/// <param name="Name">As manifests write it.</param>
/// <param name="Min">The least; null: any text.</param>
/// <param name="Max">The most; null: any text.</param>
/// <param name="Whole">Whether only whole numbers are taken.</param>
/// <param name="Text">What it does, for people.</param>
public sealed record FlavorParam(string Name, double? Min, double? Max, bool Whole, string Text)
{
    /// <summary>The param by which an engine says how many tokens its KV cache holds; admission looks at it.</summary>
    public const string KvTokens = "kvTokens";

    /// <summary>What it is where it is not given; null: what the engine chooses.</summary>
    public double? Default { get; init; }

    /// <summary>What the engine chooses where there is no <see cref="Default"/>, for people.</summary>
    public string? Chosen { get; init; }

    /// <summary>The only values there are; empty: any.</summary>
    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>Whether it must be an address that HTTP reaches.</summary>
    public bool IsUrl { get; init; }

    /// <summary>The kind of value and its bounds, for people.</summary>
    public string Kind => IsUrl ? "URL" : Choices.Count > 0 ? string.Join(", ", Choices.Select(choice => $"`{choice}`"))
        : Min is null || Max is null ? "text"
        : string.Create(CultureInfo.InvariantCulture, $"{(Whole ? "whole " : "")}number, {Min:#,0.##} to {Max:#,0.##}");

    /// <summary>Its row of docs/manifests.md.</summary>
    public string Row(string engine) => string.Create(CultureInfo.InvariantCulture, $"| {engine} | `{Name}` | {Kind} | {(Default is { } value ? value.ToString("#,0.##", CultureInfo.InvariantCulture) : Chosen ?? "")} | {Text} |");

    /// <summary>The value of these params, or the default.</summary>
    /// <exception cref="FormatException">It is none that is allowed; the message says what is.</exception>
    public double Read(IReadOnlyDictionary<string, string> parameters, double otherwise = 0)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        if (!parameters.TryGetValue(Name, out var text)) return Default ?? otherwise;
        return Check(text) is { } fault ? throw new FormatException($"'{Name}' is '{text}'; it {fault}") : double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
    }

    /// <summary>The value of these params; the default where it is none that is allowed, which is told elsewhere.</summary>
    public double ReadOrDefault(IReadOnlyDictionary<string, string> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return parameters.TryGetValue(Name, out var text) && Check(text) is null ? Read(parameters) : Default ?? 0;
    }

    /// <summary>Null if <paramref name="value"/> is allowed, else what is.</summary>
    public string? Check(string value)
    {
        if (Choices.Count > 0) return Choices.Contains(value) ? null : $"must be {string.Join(", ", Choices.Take(Choices.Count - 1))} or {Choices[^1]}";
        if (IsUrl) return Uri.TryCreate(value, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" ? null : "must be a URL that begins with http:// or https://";
        if (Min is not { } min || Max is not { } max) return null;

        var styles = Whole ? NumberStyles.AllowLeadingSign : NumberStyles.Float;
        if (double.TryParse(value, styles, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max) return null;
        return string.Create(CultureInfo.InvariantCulture, $"must be a {(Whole ? "whole " : "")}number from {min} to {max}");
    }
}
