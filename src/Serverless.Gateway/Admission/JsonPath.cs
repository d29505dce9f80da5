using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Serverless.Gateway.Admission;

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
