using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Serverless.Catalog.Manifests;

/// <summary>
/// The fields of one object of a manifest. Each is asked for by name; <see cref="Finish"/> reports those nobody asked for, so no field is silently ignored.
/// A wrong value is reported and read as if it were missing: reading goes on and finds everything at once.
/// </summary>
internal sealed class ManifestFields(Manifest manifest, JsonObject json, string path, Findings findings)
{
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);
    private readonly List<ManifestFields> _children = [];

    public string Path => path;

    public Manifest Manifest => manifest;

    /// <summary>Reports the field <paramref name="name"/>; the empty name is the object itself.</summary>
    public void Error(string name, string message) => findings.Error(manifest, At(name), Show(name), message);

    public void Warn(string name, string message) => findings.Warn(manifest, At(name), Show(name), message);

    public bool Has(string name)
    {
        _known.Add(name);
        return json[name] is not null;
    }

    /// <summary>A field that is understood and has no effect: whoever wrote it is told.</summary>
    public void WithoutEffect(string name, string message)
    {
        if (Has(name)) findings.Warn(manifest, At(name), null, message);
    }

    /// <summary>A field that cannot be had here.</summary>
    public void Refuse(string name, string message)
    {
        if (Has(name)) findings.Error(manifest, At(name), null, message);
    }

    public string? Text(string name, int longest = 4096)
    {
        if (!Has(name)) return null;
        if (json[name] is not JsonValue value || !value.TryGetValue<string>(out var text)) Error(name, "must be text; put it in quotes");
        else if (text.Length == 0) Error(name, "is empty; write a value or leave the field out");
        else if (text.Length > longest) Error(name, string.Create(CultureInfo.InvariantCulture, $"has {text.Length} characters; {longest} are allowed"));
        else return text;
        return null;
    }

    /// <summary>Text, or a number as it is written.</summary>
    public string? AnyText(string name, int longest = 4096)
    {
        if (json[name] is not JsonValue value || value.GetValueKind() is not (JsonValueKind.String or JsonValueKind.Number)) Error(name, "must be text or a number");
        else if (value.ToString() is var text && text.Length > longest) Error(name, string.Create(CultureInfo.InvariantCulture, $"has {text.Length} characters; {longest} are allowed"));
        else return text;
        return null;
    }

    public string? RequiredText(string name, int longest = 4096)
    {
        if (!Has(name)) findings.Error(manifest, At(name), null, "is missing");
        return Text(name, longest);
    }

    public int? Integer(string name, int min, int max)
    {
        if (!Has(name)) return null;
        if (json[name] is JsonValue value && value.TryGetValue<long>(out var number) && number >= min && number <= max) return (int)number;
        Error(name, string.Create(CultureInfo.InvariantCulture, $"must be a whole number from {min} to {max}"));
        return null;
    }

    public double? Number(string name, double min, double max)
    {
        if (!Has(name)) return null;
        if (json[name] is JsonValue value && value.GetValueKind() == JsonValueKind.Number && value.GetValue<double>() is var number && number >= min && number <= max) return number;
        Error(name, string.Create(CultureInfo.InvariantCulture, $"must be a number from {min} to {max}"));
        return null;
    }

    /// <summary>A field that earlier releases of llmaz had by another name.</summary>
    public void Renamed(string name, string now)
    {
        if (json[name] is null) return;
        _known.Add(name);
        findings.Error(manifest, At(name), null, $"is llmaz's former name; write {now}");
    }

    public DateTimeOffset? Timestamp(string name)
    {
        if (Text(name) is not { } text) return null;
        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)) return time;
        Error(name, "is no time; write it as 2026-01-31T12:00:00Z");
        return null;
    }

    public ManifestFields? Object(string name)
    {
        if (!Has(name)) return null;
        if (json[name] is JsonObject child) return Child(child, At(name));
        Error(name, "must be an object");
        return null;
    }

    public IReadOnlyList<ManifestFields> Objects(string name, int most)
    {
        var items = new List<ManifestFields>();
        foreach (var (item, at) in Items(name, most))
        {
            if (item is JsonObject child) items.Add(Child(child, at));
            else findings.Error(manifest, at, item?.ToString(), "must be an object");
        }

        return items;
    }

    public IReadOnlyList<string> Texts(string name, int most)
    {
        var items = new List<string>();
        foreach (var (item, at) in Items(name, most))
        {
            if (item is JsonValue value && value.TryGetValue<string>(out var text) && text.Length > 0) items.Add(text);
            else findings.Error(manifest, at, item?.ToString(), "must be text; put it in quotes");
        }

        return items;
    }

    /// <summary>An object as it is written, in JSON.</summary>
    public string? Json(string name, int longest)
    {
        if (!Has(name)) return null;
        if (json[name] is not JsonObject value) Error(name, "must be an object");
        else if (value.ToJsonString() is var text && text.Length > longest) Error(name, string.Create(CultureInfo.InvariantCulture, $"has {text.Length} characters; {longest} are allowed"));
        else return text;
        return null;
    }

    /// <summary>The object itself, in JSON.</summary>
    public string ToJson() => json.ToJsonString();

    /// <summary>An object of any keys whose values are text, or <paramref name="numbers"/> too.</summary>
    public IReadOnlyDictionary<string, string> Map(string name, bool numbers)
    {
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        if (!Has(name)) return map;
        if (json[name] is not JsonObject entries)
        {
            Error(name, "must be an object");
            return map;
        }

        foreach (var (key, value) in entries)
        {
            var kind = value?.GetValueKind();
            if (kind == JsonValueKind.String || (numbers && kind == JsonValueKind.Number)) map[key] = value!.ToString();
            else findings.Error(manifest, FieldPath.Member(At(name), key), value?.ToJsonString(), numbers ? "must be text or a number" : "must be text; put it in quotes");
        }

        return map;
    }

    /// <summary>Reports every field that nobody asked for, here and below.</summary>
    public void Finish()
    {
        foreach (var (name, _) in json)
        {
            if (!_known.Contains(name)) findings.Error(manifest, At(name), null, $"is no known field{Suggest(name)}; known are {string.Join(", ", _known.Order(StringComparer.Ordinal))}");
        }

        foreach (var child in _children) child.Finish();
    }

    private string At(string name) => name.Length == 0 ? path : FieldPath.Member(path, name);

    private string? Show(string name) => json[name] switch
    {
        null => null,
        JsonValue value => value.ToString(),
        var other => other.GetValueKind() == JsonValueKind.Array ? "[…]" : "{…}",
    };

    private ManifestFields Child(JsonObject child, string at)
    {
        var fields = new ManifestFields(manifest, child, at, findings);
        _children.Add(fields);
        return fields;
    }

    private IEnumerable<(JsonNode? Item, string At)> Items(string name, int most)
    {
        if (!Has(name)) yield break;
        if (json[name] is not JsonArray items)
        {
            Error(name, "must be a list");
            yield break;
        }

        if (items.Count > most) Error(name, string.Create(CultureInfo.InvariantCulture, $"has {items.Count} items; {most} are allowed"));
        for (var i = 0; i < Math.Min(items.Count, most); i++) yield return (items[i], FieldPath.Item(At(name), i));
    }

    private string Suggest(string name) =>
        _known.FirstOrDefault(known => string.Equals(known, name, StringComparison.OrdinalIgnoreCase)) is { } meant ? $" (is '{meant}' meant?)" : "";
}
