using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Serverless.Inference.Gguf;

/// <summary>
/// Reads a GGUF header and checks every field against what is left of the file. It allocates for what is asked alone: texts and arrays are stepped over and
/// come back as places (<see cref="GgufText"/>, <see cref="GgufArray"/>), so that a header costs memory by its keys and not by its length.
/// </summary>
internal sealed class GgufReader(string file, GgufWindow bytes, int position)
{
    private const int MaxNesting = 4;

    private static readonly UTF8Encoding Utf8 = new(false, throwOnInvalidBytes: false);

    public int Position { get; private set; } = position;

    public uint UInt32(string field) => BinaryPrimitives.ReadUInt32LittleEndian(Take(4, field));

    public ulong UInt64(string field) => BinaryPrimitives.ReadUInt64LittleEndian(Take(8, field));

    /// <summary>A count of items that take at least <paramref name="itemBytes"/> each, so that it cannot ask for more memory than the file could fill.</summary>
    /// <param name="field">The field that is read, for a fault.</param>
    /// <param name="itemBytes">Least bytes of an item.</param>
    /// <param name="limit">Most items.</param>
    /// <param name="part">Which part of the field the count is; not joined to it before there is a fault, for a vocabulary has a million lengths.</param>
    public int Count(string field, int itemBytes, int limit = int.MaxValue, string part = "")
    {
        var count = UInt64(field);
        var left = (ulong)(bytes.Length - Position);
        if (count > left / (ulong)itemBytes) throw Fault(field + part, count, $"only {left} bytes are left, and each item takes at least {itemBytes}");
        if (count > (ulong)limit) throw Fault(field + part, count, $"at most {limit} are read");
        return (int)count;
    }

    /// <summary>A text of at most <paramref name="limit"/> bytes.</summary>
    public string Text(string field, int limit)
    {
        var length = Count(field, 1, limit, " length");
        return Utf8.GetString(Take(length, field));
    }

    /// <summary>A value with its type: a number or boolean as it is, a text or array as its place.</summary>
    public object Value(string field)
    {
        var type = UInt32(field + " type");
        return type switch
        {
            0 => Take(1, field)[0],
            1 => (sbyte)Take(1, field)[0],
            2 => BinaryPrimitives.ReadUInt16LittleEndian(Take(2, field)),
            3 => BinaryPrimitives.ReadInt16LittleEndian(Take(2, field)),
            4 => UInt32(field),
            5 => BinaryPrimitives.ReadInt32LittleEndian(Take(4, field)),
            6 => BinaryPrimitives.ReadSingleLittleEndian(Take(4, field)),
            7 => Bool(field),
            8 => SkipText(field),
            9 => SkipArray(field, 0),
            10 => UInt64(field),
            11 => BinaryPrimitives.ReadInt64LittleEndian(Take(8, field)),
            12 => BinaryPrimitives.ReadDoubleLittleEndian(Take(8, field)),
            _ => throw Fault(field + " type", type, "the types are 0 to 12"),
        };
    }

    /// <summary>So many texts from here.</summary>
    public string[] Texts(string field, int count)
    {
        var texts = new string[count];
        for (var i = 0; i < count; i++) texts[i] = Text(field, int.MaxValue);
        return texts;
    }

    /// <summary>So many whole numbers of 32 bits from here.</summary>
    public int[] Integers(string field, int count)
    {
        var numbers = new int[count];
        for (var i = 0; i < count; i++) numbers[i] = (int)UInt32(field);
        return numbers;
    }

    /// <summary>So many floats of 32 bits from here.</summary>
    public float[] Floats(string field, int count)
    {
        var numbers = new float[count];
        for (var i = 0; i < count; i++) numbers[i] = BinaryPrimitives.ReadSingleLittleEndian(Take(4, field));
        return numbers;
    }

    public GgufException Fault(string field, object value, string why) =>
        new(string.Create(CultureInfo.InvariantCulture, $"'{file}' is no GGUF file that can be read: {field} is {value}, but {why}. Download or convert the file again."));

    private GgufText SkipText(string field)
    {
        var at = Position;
        Skip(Count(field, 1, part: " length"), field);
        return new GgufText(at);
    }

    private GgufArray SkipArray(string field, int nesting)
    {
        if (nesting >= MaxNesting) throw Fault(field, $"an array {nesting + 1} deep", $"at most {MaxNesting} are read");

        var type = UInt32(field + " item type");
        var size = ItemBytes(field, type);
        var count = Count(field, size, part: " count");
        var at = Position;
        if (type is not (8 or 9)) Skip(checked(count * size), field);
        for (var i = 0; type == 8 && i < count; i++) SkipText(field);
        for (var i = 0; type == 9 && i < count; i++) SkipArray(field, nesting + 1);
        return new GgufArray(type, count, at, Position - at);
    }

    private int ItemBytes(string field, uint type) => type switch
    {
        0 or 1 or 7 => 1,
        2 or 3 => 2,
        4 or 5 or 6 => 4,
        8 or 10 or 11 or 12 => 8,
        9 => 12,
        _ => throw Fault(field + " item type", type, "the types are 0 to 12"),
    };

    private bool Bool(string field) => Take(1, field)[0] switch
    {
        0 => false,
        1 => true,
        var other => throw Fault(field, other, "a boolean is 0 or 1"),
    };

    private ReadOnlySpan<byte> Take(int count, string field)
    {
        var at = Position;
        Skip(count, field);
        return bytes.Slice(at, count);
    }

    private void Skip(int count, string field)
    {
        if (bytes.Length - Position < count) throw Fault(field, $"at byte {Position}", $"the file ends at byte {bytes.Length}; it is truncated");

        Position += count;
    }
}

/// <summary>The bytes of a file that a header may lie in, read piece by piece as they are asked for. Not thread-safe.</summary>
internal sealed class GgufWindow(GgufFile file)
{
    private const int Bytes = 64 << 10;

    private byte[] _buffer = [];
    private int _start;
    private int _count;

    /// <summary>The file's length, as far as a header may reach.</summary>
    public int Length { get; } = (int)Math.Min(file.Length, int.MaxValue);

    /// <summary>Bytes that lie in the file, until the next call.</summary>
    public ReadOnlySpan<byte> Slice(int position, int count)
    {
        if (position < _start || position - _start > _count - count)
        {
            var wanted = Math.Min(Math.Max(count, Bytes), Length - position);
            if (_buffer.Length < wanted) _buffer = new byte[wanted];
            file.Read(position, _buffer.AsSpan(0, wanted));
            (_start, _count) = (position, wanted);
        }

        return _buffer.AsSpan(position - _start, count);
    }
}

/// <summary>Where a text lies, from its length on.</summary>
internal readonly record struct GgufText(int Position);

/// <summary>Where an array's items lie.</summary>
internal readonly record struct GgufArray(uint ItemType, int Count, int Position, int ByteLength);
