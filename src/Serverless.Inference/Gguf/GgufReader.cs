using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Serverless.Inference.Gguf;

/// <summary>Reads a GGUF header from bytes and checks every field against what is left of the file.</summary>
internal ref struct GgufReader(string file, ReadOnlySpan<byte> bytes)
{
    private const int MaxNesting = 4;

    private static readonly UTF8Encoding Utf8 = new(false, throwOnInvalidBytes: false);

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public int Position { get; private set; }

    public uint UInt32(string field) => BinaryPrimitives.ReadUInt32LittleEndian(Take(4, field));

    public ulong UInt64(string field) => BinaryPrimitives.ReadUInt64LittleEndian(Take(8, field));

    /// <summary>A count of items that take at least <paramref name="itemBytes"/> each, so that it cannot ask for more memory than the file could fill.</summary>
    public int Count(string field, int itemBytes)
    {
        var count = UInt64(field);
        var left = (ulong)(_bytes.Length - Position);
        if (count > left / (ulong)itemBytes) throw Fault(field, count, $"only {left} bytes are left, and each item takes at least {itemBytes}");
        return (int)count;
    }

    public string Text(string field)
    {
        var length = Count(field + " length", 1);
        return Utf8.GetString(Take(length, field));
    }

    public object Value(string field, int nesting = 0)
    {
        var type = UInt32(field + " type");
        return Value(field, type, nesting);
    }

    public readonly GgufException Fault(string field, object value, string why) =>
        new(string.Create(CultureInfo.InvariantCulture, $"'{file}' is no GGUF file that can be read: {field} is {value}, but {why}. Download or convert the file again."));

    private object Value(string field, uint type, int nesting) => type switch
    {
        0 => Take(1, field)[0],
        1 => (sbyte)Take(1, field)[0],
        2 => BinaryPrimitives.ReadUInt16LittleEndian(Take(2, field)),
        3 => BinaryPrimitives.ReadInt16LittleEndian(Take(2, field)),
        4 => UInt32(field),
        5 => BinaryPrimitives.ReadInt32LittleEndian(Take(4, field)),
        6 => BinaryPrimitives.ReadSingleLittleEndian(Take(4, field)),
        7 => Bool(field),
        8 => Text(field),
        9 => Array(field, nesting),
        10 => UInt64(field),
        11 => BinaryPrimitives.ReadInt64LittleEndian(Take(8, field)),
        12 => BinaryPrimitives.ReadDoubleLittleEndian(Take(8, field)),
        _ => throw Fault(field + " type", type, "the types are 0 to 12"),
    };

    private object Array(string field, int nesting)
    {
        if (nesting >= MaxNesting) throw Fault(field, $"an array {nesting + 1} deep", $"at most {MaxNesting} are read");

        var type = UInt32(field + " item type");
        var count = Count(field + " count", ItemBytes(field, type));
        switch (type)
        {
            case 5 or 4:
                var integers = new int[count];
                for (var i = 0; i < count; i++) integers[i] = (int)UInt32(field);
                return integers;
            case 6:
                var floats = new float[count];
                for (var i = 0; i < count; i++) floats[i] = BinaryPrimitives.ReadSingleLittleEndian(Take(4, field));
                return floats;
            case 8:
                var texts = new string[count];
                for (var i = 0; i < count; i++) texts[i] = Text(field);
                return texts;
            default:
                var items = new object[count];
                for (var i = 0; i < count; i++) items[i] = Value(field, type, nesting + 1);
                return items;
        }
    }

    private readonly int ItemBytes(string field, uint type) => type switch
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
        if (_bytes.Length - Position < count) throw Fault(field, $"at byte {Position}", $"the file ends at byte {_bytes.Length}; it is truncated");

        var taken = _bytes.Slice(Position, count);
        Position += count;
        return taken;
    }
}
