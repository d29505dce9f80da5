using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Serverless.Gateway.Admission;

/// <summary>
/// The names one JSON object has had so far. A name given twice is refused: gateway and engine could each take another one of them.
/// Up to <see cref="Few"/> plain names are compared in place, without allocating; more, or escaped ones, go to a set.
/// </summary>
internal struct SeenNames
{
    private const int Few = 24;

    private Places _places;
    private int _count;
    private HashSet<string>? _many;

    /// <summary>Adds the property name the reader stands on; false if it was there.</summary>
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

        return (_many ??= Collect(body)).Add(json.GetString()!);
    }

    private readonly HashSet<string> Collect(ReadOnlySpan<byte> body)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < _count; i++) names.Add(System.Text.Encoding.UTF8.GetString(body.Slice(_places[i].Start, _places[i].Length)));
        return names;
    }

    [InlineArray(Few)]
    private struct Places
    {
        private (int Start, int Length) _first;
    }
}
