using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Serverless.Errors;

namespace Serverless.Gateway.Admission;

/// <summary>
/// Reads a body's fields in one pass and checks each for type and range. Every optional field may be null. What is wrong is thrown as a
/// <see cref="ServingException"/> that names the field by path, its value, the limit and the fix; prompt text is never part of it.
/// </summary>
internal ref struct JsonFields
{
    private const int LongestShown = 48;

    private readonly ReadOnlySpan<byte> _body;
    private Utf8JsonReader _json;
    private int _padding;

    private JsonFields(ReadOnlySpan<byte> body)
    {
        _body = body;
        _json = new Utf8JsonReader(body, ReaderOptions);
    }

    public static JsonReaderOptions ReaderOptions { get; } = new() { MaxDepth = 64 };

    public readonly JsonTokenType Token => _json.TokenType;

    /// <summary>Where the current token begins.</summary>
    public readonly int Offset => (int)_json.TokenStartIndex;

    /// <summary>Just after the current token.</summary>
    public readonly int End => (int)_json.BytesConsumed;

    /// <summary>Bytes between tokens so far that say nothing.</summary>
    public readonly int Padding => _padding;

    /// <summary>The least that the string it stands on is in UTF-8: no escape of six bytes is less than one.</summary>
    public readonly int TextBytes => _json.ValueSpan.Length - (_json.ValueIsEscaped ? 5 * _json.ValueSpan.Count((byte)'\\') : 0);

    /// <summary>Stands on the root of a body, which must be an object.</summary>
    public static JsonFields Open(ReadOnlySpan<byte> body)
    {
        if (body.IsEmpty) throw Fault("The body is empty; send a JSON object.", null);
        if (body.StartsWith("\uFEFF"u8)) throw Fault("The body begins with a byte order mark; send plain UTF-8.", null);
        if (!Utf8.IsValid(body)) throw Fault("The body is not valid UTF-8.", null);

        var fields = new JsonFields(body);
        fields.Next();
        if (fields.Token != JsonTokenType.StartObject) throw fields.Wrong("must be a JSON object");
        return fields;
    }

    /// <summary>After the root: nothing may follow.</summary>
    public void Close()
    {
        _padding += _body.Length - End;

        // With its depth back at zero the reader itself refuses anything but white space.
        _json.Read();
    }

    /// <summary>
    /// Steps to the next field of the object and onto its value. Returns the length of its name, copied to <paramref name="name"/> (0 where it is too long to be a known
    /// one), or −1 at the end of the object.
    /// </summary>
    public int NextField(ref SeenNames seen, scoped Span<char> name)
    {
        Next();
        if (_json.TokenType == JsonTokenType.EndObject) return -1;
        if (!seen.Add(ref _json, _body)) throw Wrong(seen.IsFull ? $"comes after {SeenNames.Most} other names of its object, the limit: it must be left out" : "is given twice; give it once");

        var length = _json.ValueSpan.Length <= name.Length ? _json.CopyString(name) : 0;
        Next();
        return length;
    }

    /// <summary>Steps to the next element of the array; false at its end.</summary>
    public bool NextElement()
    {
        Next();
        return _json.TokenType != JsonTokenType.EndArray;
    }

    /// <summary>Passes over a value of any kind, checking only that it is sound JSON.</summary>
    public void Skip()
    {
        if (_json.TokenType == JsonTokenType.StartArray)
        {
            while (NextElement()) Skip();
        }
        else if (_json.TokenType == JsonTokenType.StartObject)
        {
            var seen = new SeenNames();
            while (NextField(ref seen, []) >= 0) Skip();
        }
    }

    public readonly double? Number(double min, double max)
    {
        if (Token == JsonTokenType.Null) return null;
        if (Token != JsonTokenType.Number || !_json.TryGetDouble(out var value) || !(value >= min && value <= max))
        {
            throw Wrong(string.Create(CultureInfo.InvariantCulture, $"must be a number from {min} to {max}"));
        }

        return value;
    }

    public readonly long? Integer(long min, long max)
    {
        if (Token == JsonTokenType.Null) return null;
        if (Token == JsonTokenType.Number && TryGetWhole(out var value) && value >= min && value <= max) return value;

        var range = max < long.MaxValue ? $"from {min} to {max}" : min > long.MinValue ? $"of at least {min}" : "of 64 bits";
        throw Wrong($"must be an integer {range}");
    }

    /// <summary>Whether it is a token id, in plain digits: prompts of ids go to the engine as they are.</summary>
    public readonly bool IsTokenId() => Token == JsonTokenType.Number && _json.TryGetInt32(out var id) && id >= 0;

    public readonly bool? Boolean() => Token switch
    {
        JsonTokenType.Null => null,
        JsonTokenType.True => true,
        JsonTokenType.False => false,
        _ => throw Wrong("must be true or false"),
    };

    /// <summary>A string, or null. Its length in characters is bounded.</summary>
    public readonly string? Text(int maxLength = int.MaxValue)
    {
        if (!IsText(maxLength)) return null;
        return _json.GetString();
    }

    /// <summary>Whether the value is a string (checked) or null.</summary>
    public readonly bool IsText(int maxLength = int.MaxValue)
    {
        if (Token == JsonTokenType.Null) return false;
        if (Token != JsonTokenType.String) throw Wrong("must be a string");

        // No character is longer than six bytes of JSON, so only strings near the limit are decoded to count.
        if (_json.ValueSpan.Length > maxLength && _json.GetString()!.Length > maxLength) throw Wrong($"must be at most {maxLength} characters long");
        return true;
    }

    /// <summary>One of the words, or null.</summary>
    public readonly string? OneOf(params ReadOnlySpan<string> words)
    {
        if (Token == JsonTokenType.Null) return null;
        if (Token == JsonTokenType.String)
        {
            foreach (var word in words)
            {
                if (_json.ValueTextEquals(word)) return word;
            }
        }

        throw Wrong($"must be one of {string.Join(", ", words!)}", showText: true);
    }

    public readonly bool IsObject() => Is(JsonTokenType.StartObject, "an object");

    public readonly bool IsArray() => Is(JsonTokenType.StartArray, "an array");

    /// <summary>The fault of the value the reader stands on.</summary>
    public readonly ServingException Wrong(string rule, bool showText = false)
    {
        var path = JsonPath.At(_body, _json.TokenStartIndex);
        var subject = path is null ? "The body" : $"'{path}'";
        return Fault(_json.TokenType == JsonTokenType.PropertyName ? $"{subject} {rule}." : $"{subject} is {Shown(showText)}; it {rule}.", path);
    }

    /// <summary>The fault of something missing from the object that begins at <paramref name="offset"/>.</summary>
    public readonly ServingException Missing(int offset, string name)
    {
        var path = JsonPath.At(_body, offset) is { } container ? $"{container}.{name}" : name;
        return Fault($"'{path}' is missing; it is required.", path);
    }

    /// <summary>The fault of a value read before that lacks something.</summary>
    public readonly ServingException Empty(int offset, string rule) => At(_body, offset, rule);

    /// <summary>The fault of a value at <paramref name="offset"/> that was read before.</summary>
    public static ServingException At(ReadOnlySpan<byte> body, int offset, string problem)
    {
        var path = JsonPath.At(body, offset);
        return Fault($"'{path}' {problem}.", path);
    }

    private static ServingException Fault(string message, string? path) => new(new ServingFault(ServingError.InvalidRequest, message, path));

    /// <summary>JSON has one kind of number: <c>64.0</c> and <c>1e2</c> are whole, as some languages write them.</summary>
    private readonly bool TryGetWhole(out long value)
    {
        if (_json.TryGetInt64(out value)) return true;
        if (!_json.TryGetDecimal(out var number) || number != decimal.Truncate(number) || number is < long.MinValue or > long.MaxValue) return false;

        value = (long)number;
        return true;
    }

    private readonly bool Is(JsonTokenType type, string kind)
    {
        if (Token == JsonTokenType.Null) return false;
        return Token == type ? true : throw Wrong($"must be {kind}");
    }

    private void Next()
    {
        // The reader's own end-of-data check makes false impossible inside the root.
        var before = End;
        _json.Read();
        _padding += Math.Max(0, Offset - before - 1); // a comma is none
        if (_json.TokenType == JsonTokenType.PropertyName) _padding += End - Offset - _json.ValueSpan.Length - 3; // its quotes and its colon are none
        if (_json.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && _json.ValueIsEscaped) CheckEscapes(_json.ValueSpan);
    }

    /// <summary>An escape may name half of a surrogate pair, which no text holds, or NUL, which ends a string in an engine written in C.</summary>
    private readonly void CheckEscapes(ReadOnlySpan<byte> text)
    {
        var expectLow = false;
        for (var at = text.IndexOf((byte)'\\'); at >= 0;)
        {
            var unit = text[at + 1] == (byte)'u' ? ushort.Parse(text.Slice(at + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) : '\uFFFF';
            var isLow = char.IsLowSurrogate((char)unit);
            if (isLow != expectLow) throw Wrong("must not hold half of a surrogate pair");
            if (unit == 0) throw Wrong("must not hold the character U+0000");

            expectLow = char.IsHighSurrogate((char)unit);
            text = text[(at + (text[at + 1] == (byte)'u' ? 6 : 2))..];
            at = text.IndexOf((byte)'\\');
            if (expectLow && at != 0) throw Wrong("must not hold half of a surrogate pair");
        }
    }

    private readonly string Shown(bool showText) => _json.TokenType switch
    {
        JsonTokenType.String when showText && _json.ValueSpan.Length <= LongestShown => $"\"{Encoding.UTF8.GetString(_json.ValueSpan)}\"",
        JsonTokenType.String or JsonTokenType.PropertyName => "a string",
        JsonTokenType.Number when _json.ValueSpan.Length <= LongestShown => Encoding.UTF8.GetString(_json.ValueSpan),
        JsonTokenType.Number => $"a number of {_json.ValueSpan.Length} digits",
        JsonTokenType.True => "true",
        JsonTokenType.False => "false",
        JsonTokenType.Null => "null",
        JsonTokenType.StartArray => "an array",
        _ => "an object",
    };
}

/// <summary>
/// The names one JSON object has had so far. A name given twice is refused: gateway and engine could each take another one of them.
/// Up to <see cref="Few"/> plain names are compared in place, without allocating; more, or escaped ones, go to a set.
/// </summary>
internal struct SeenNames
{
    /// <summary>Names one object may have: no schema and no map of tokens needs more, and each of them costs a hundred bytes while it is read.</summary>
    public const int Most = 1024;

    private const int Few = 24;

    private Places _places;
    private int _count;
    private HashSet<string>? _many;

    /// <summary>Whether no further name is taken.</summary>
    public readonly bool IsFull => _many?.Count >= Most;

    /// <summary>Adds the property name the reader stands on; false if it was there, or there are too many.</summary>
    public bool Add(ref Utf8JsonReader json, ReadOnlySpan<byte> body)
    {
        if (_many is null && !json.ValueIsEscaped && _count < Few)
        {
            var name = json.ValueSpan;
            for (var i = 0; i < _count; i++)
            {
                if (body.Slice(_places[i].Start, _places[i].Length).SequenceEqual(name)) return false;
            }

            _places[_count++] = ((int)json.TokenStartIndex + 1, name.Length);
            return true;
        }

        _many ??= Collect(body);
        return !IsFull && _many.Add(json.GetString()!);
    }

    private readonly HashSet<string> Collect(ReadOnlySpan<byte> body)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < _count; i++) names.Add(Encoding.UTF8.GetString(body.Slice(_places[i].Start, _places[i].Length)));
        return names;
    }

    [InlineArray(Few)]
    private struct Places
    {
        private (int Start, int Length) _first;
    }
}

/// <summary>Finds the path of a place in a body (<c>messages[2].content</c>). Reads the body again, so that only errors pay for paths.</summary>
internal static class JsonPath
{
    /// <summary>The path of the token that begins at <paramref name="offset"/>; null for the root.</summary>
    public static string? At(ReadOnlySpan<byte> body, long offset)
    {
        var json = new Utf8JsonReader(body, JsonFields.ReaderOptions);
        var containers = new Stack<(string? Name, int Index)>();
        string? name = null;
        var index = -1;

        while (json.Read())
        {
            if (json.TokenType is JsonTokenType.EndObject or JsonTokenType.EndArray)
            {
                (name, index) = containers.Pop();
                continue;
            }

            if (json.TokenType == JsonTokenType.PropertyName) name = Printable(ref json);
            else if (index >= 0) index++;

            if (json.TokenStartIndex >= offset) break;

            if (json.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray)
            {
                containers.Push((name, index));
                name = null;
                index = json.TokenType == JsonTokenType.StartArray ? 0 : -1;
            }
        }

        containers.Push((name, index));
        return Join(containers);
    }

    /// <summary>Inside an array, the index counts from 1 while reading, so that 0 means before the first element.</summary>
    private static string? Join(Stack<(string? Name, int Index)> containers)
    {
        var path = new StringBuilder();
        foreach (var (name, index) in containers.Reverse())
        {
            if (index > 0) path.Append(CultureInfo.InvariantCulture, $"[{index - 1}]");
            else if (name is not null) path.Append(path.Length > 0 ? "." : "").Append(name);
        }

        return path.Length == 0 ? null : path.ToString();
    }

    private static string Printable(ref Utf8JsonReader json)
    {
        const int Longest = 64;
        var raw = Encoding.UTF8.GetString(json.ValueSpan);
        return raw.Length <= Longest ? raw : raw[..Longest] + "…";
    }
}
