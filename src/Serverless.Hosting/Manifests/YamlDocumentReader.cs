using System.Globalization;
using System.Text.Json.Nodes;
using Serverless.Catalog.Manifests;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Serverless.Hosting.Manifests;

/// <summary>One YAML document as JSON. Plain scalars follow YAML 1.2's core schema, so <c>no</c> and <c>on</c> are text; aliases are copies and count towards the limit.</summary>
internal sealed class YamlDocumentReader(IParser parser)
{
    private const int MaxDepth = 32;
    private const int MaxNodes = 50_000;

    private readonly Dictionary<string, (JsonNode? Node, int Size)> _anchors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _lines = new(StringComparer.Ordinal);
    private int _nodes;

    /// <summary>Line of each field, by path.</summary>
    public IReadOnlyDictionary<string, int> Lines => _lines;

    /// <exception cref="YamlFault">The document is beyond a limit, or uses what JSON has not.</exception>
    public JsonNode? Read() => ReadNode("", 0);

    private JsonNode? ReadNode(string path, int depth)
    {
        var start = parser.Current ?? throw new YamlFault(null, path, null, "ends too early");
        _lines.TryAdd(path, (int)start.Start.Line);
        Count(1, path, start);
        if (depth > MaxDepth) throw Fault(start, path, null, $"is nested deeper than {MaxDepth} levels");
        if (parser.TryConsume<AnchorAlias>(out var alias)) return Copy(alias, path);

        var before = _nodes;
        var anchor = (start as NodeEvent)?.Anchor ?? AnchorName.Empty;
        JsonNode? node = start switch
        {
            Scalar => ReadScalar(parser.Consume<Scalar>(), path),
            SequenceStart => ReadSequence(path, depth),
            MappingStart => ReadMapping(path, depth),
            _ => throw Fault(start, path, null, "is nothing that a manifest may hold"),
        };
        if (!anchor.IsEmpty) _anchors[anchor.Value] = (node, _nodes - before + 1);
        return node;
    }

    private JsonNode? Copy(AnchorAlias alias, string path)
    {
        if (!_anchors.TryGetValue(alias.Value.Value, out var anchored)) throw Fault(alias, path, alias.Value.Value, "is an alias of nothing before it");
        Count(anchored.Size, path, alias);
        return anchored.Node?.DeepClone();
    }

    private JsonArray ReadSequence(string path, int depth)
    {
        var array = new JsonArray();
        parser.Consume<SequenceStart>();
        while (!parser.TryConsume<SequenceEnd>(out _)) array.Add(ReadNode(FieldPath.Item(path, array.Count), depth + 1));
        return array;
    }

    private JsonObject ReadMapping(string path, int depth)
    {
        var map = new JsonObject();
        parser.Consume<MappingStart>();
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            if (!parser.TryConsume<Scalar>(out var key)) throw Fault(parser.Current!, path, null, "has a key that is no text");

            var field = FieldPath.Member(path, key.Value);
            if (map.ContainsKey(key.Value)) throw Fault(key, field, null, "is given twice");
            _lines[field] = (int)key.Start.Line;
            map.Add(key.Value, ReadNode(field, depth + 1));
        }

        return map;
    }

    private static JsonValue? ReadScalar(Scalar scalar, string path)
    {
        var text = scalar.Value;
        if (!scalar.Tag.IsEmpty && scalar.Tag.Value is not "!" and not "tag:yaml.org,2002:str") throw Fault(scalar, path, scalar.Tag.Value, "is a tag, which manifests do not use");
        if (scalar.Style != ScalarStyle.Plain || !scalar.Tag.IsEmpty) return JsonValue.Create(text);

        switch (text)
        {
            case "" or "~" or "null" or "Null" or "NULL": return null;
            case "true" or "True" or "TRUE": return JsonValue.Create(true);
            case "false" or "False" or "FALSE": return JsonValue.Create(false);
        }

        return IsNumber(text) ? (JsonValue)JsonNode.Parse(text)! : JsonValue.Create(text);
    }

    /// <summary>As JSON writes them. Other spellings (<c>007</c>, <c>+5</c>, <c>.5</c>) stay text as they were written: a revision or a name must not become another one.</summary>
    private static bool IsNumber(string text)
    {
        if (text[0] is not ((>= '0' and <= '9') or '-') || !double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) || !double.IsFinite(number)) return false;

        var digits = text.AsSpan(text[0] == '-' ? 1 : 0);
        return digits.Length > 0 && char.IsAsciiDigit(digits[0]) && char.IsAsciiDigit(text[^1]) && (digits.Length == 1 || digits[0] != '0' || !char.IsAsciiDigit(digits[1])) && !text.Contains(".e", StringComparison.OrdinalIgnoreCase);
    }

    private static YamlFault Fault(ParsingEvent at, string path, string? value, string message) => new((int)at.Start.Line, path, value, message);

    private void Count(int nodes, string path, ParsingEvent at)
    {
        _nodes += nodes;
        if (_nodes > MaxNodes) throw Fault(at, path, null, $"makes the document larger than {MaxNodes} values, aliases counted as often as they are used");
    }
}
