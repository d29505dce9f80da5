using System.Globalization;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Gguf;

/// <summary>
/// A GGUF file (v2 or v3): metadata, and tensors. Texts, arrays and tensors are read when they are asked for. It is read and not mapped: of a file that somebody cuts off or writes anew
/// meanwhile a read fails, where a map would end the process. Thread-safe; dispose it after its last use.
/// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
/// </summary>
public sealed class GgufFile : IDisposable
{
    private const uint Magic = 0x46554747;
    private const int MaxDimensions = 4;
    private const int DefaultAlignment = 32;
    private const long MaxElements = 1L << 40;

    // What a header may make us hold. The largest vocabularies there are have some 300,000 tokens and 600,000 merges in ten megabytes.
    private const int MaxEntries = 1 << 16;
    private const int MaxNameBytes = 256;
    private const int MaxTextBytes = 4 << 20;
    private const int MaxItems = 1 << 20;
    private const int MaxArrayBytes = 32 << 20;

    private readonly string _path;
    private readonly FileBytes _bytes;
    private readonly Dictionary<string, object> _metadata = new(StringComparer.Ordinal);
    private readonly Dictionary<string, GgufTensor> _tensors = new(StringComparer.Ordinal);

    private GgufFile(FileBytes bytes) => (_path, _bytes) = (bytes.Path, bytes);

    /// <summary>The file's length in bytes.</summary>
    public long Length => _bytes.Length;

    /// <summary>All tensors by name.</summary>
    public IReadOnlyDictionary<string, GgufTensor> Tensors => _tensors;

    /// <summary>The keys of the metadata.</summary>
    public IReadOnlyCollection<string> Keys => _metadata.Keys;

    /// <summary>Opens the file and reads its header.</summary>
    /// <exception cref="GgufException">The file is missing, truncated or malformed.</exception>
    public static GgufFile Open(string path)
    {
        var bytes = FileBytes.Open(path, 24, "GGUF file", static (message, inner) => new GgufException(message, inner));
        try
        {
            var file = new GgufFile(bytes);
            file.ReadHeader();
            return file;
        }
        catch
        {
            bytes.Dispose();
            throw;
        }
    }

    /// <summary>Closes the file; its tensors and texts can be read no more.</summary>
    public void Dispose() => _bytes.Dispose();

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="GgufException">There is none.</exception>
    public GgufTensor Tensor(string name) =>
        _tensors.GetValueOrDefault(name) ?? throw new GgufException($"'{_path}' has no tensor '{name}', which this architecture needs.");

    /// <summary>The value of <paramref name="key"/>, or null: a number or boolean converted to <typeparamref name="T"/>, a text, or an array of <c>int</c>, <c>float</c> or <c>string</c>.</summary>
    /// <exception cref="GgufException">The value is of another kind, does not fit, or is longer than is read.</exception>
    public T? Find<T>(string key)
    {
        if (!_metadata.TryGetValue(key, out var value)) return default;
        if (value is GgufText or GgufArray) return (T)Read(key, value, typeof(T));
        if (value is T found) return found;

        try
        {
            if (typeof(T) != typeof(string) && !typeof(T).IsArray)
                return (T)Convert.ChangeType(value, Nullable.GetUnderlyingType(typeof(T)) ?? typeof(T), CultureInfo.InvariantCulture);
        }
        catch (Exception exception) when (exception is OverflowException or InvalidCastException or FormatException)
        {
            throw Wrong(key, value, typeof(T), exception);
        }

        throw Wrong(key, value, typeof(T), null);
    }

    /// <summary>The value of <paramref name="key"/>.</summary>
    /// <exception cref="GgufException">It is missing or of another kind.</exception>
    public T Get<T>(string key) =>
        _metadata.ContainsKey(key) ? Find<T>(key)! : throw new GgufException($"'{_path}' has no '{key}' in its metadata, which this architecture needs.");

    /// <summary>A positive size of at most <paramref name="limit"/>.</summary>
    /// <exception cref="GgufException">It is missing, of another kind, or out of range.</exception>
    public int Size(string key, int limit)
    {
        var value = Get<long>(key);
        return value is > 0 && value <= limit ? (int)value : throw new GgufException($"'{_path}': '{key}' is {value}; 1 to {limit} is allowed.");
    }

    /// <summary>Fills <paramref name="into"/> with the bytes from <paramref name="offset"/> on, which lie in the file as it was when it was opened.</summary>
    /// <exception cref="GgufException">They are there no longer, or cannot be read.</exception>
    internal void Read(long offset, Span<byte> into) => _bytes.Read(offset, into);

    private static int Alignment(GgufReader reader, Dictionary<string, object> metadata)
    {
        if (!metadata.TryGetValue("general.alignment", out var value)) return DefaultAlignment;
        return value is uint alignment and >= 8 and <= 65536 && (alignment & (alignment - 1)) == 0
            ? (int)alignment
            : throw reader.Fault("general.alignment", value, "it must be a power of two from 8 to 65536");
    }

    private static TensorInfo ReadInfo(GgufReader reader, int index)
    {
        var name = reader.Text($"name of tensor {index}", MaxNameBytes);
        var count = reader.UInt32($"dimension count of tensor '{name}'");
        if (count is 0 or > MaxDimensions) throw reader.Fault($"dimension count of tensor '{name}'", count, $"1 to {MaxDimensions} are read");

        var dimensions = new int[count];
        var (elements, rows) = (1L, 1L);
        for (var i = 0; i < count; i++)
        {
            // Asked before it is multiplied: a product that has wrapped round looks like any other.
            var size = reader.UInt64($"dimension {i} of tensor '{name}'");
            if (size is 0 or > int.MaxValue || (long)size > MaxElements / elements) throw reader.Fault($"dimension {i} of tensor '{name}'", size, "a tensor has 1 to 2^40 numbers, and each dimension less than 2^31");
            elements *= (long)size;
            if (i > 0) rows *= (long)size;
            dimensions[i] = (int)size;
        }

        if (rows > int.MaxValue) throw reader.Fault($"row count of tensor '{name}'", rows, "less than 2^31 are read");

        var number = reader.UInt32($"type of tensor '{name}'");
        if (!Enum.IsDefined((WeightType)number)) throw reader.Fault($"type of tensor '{name}'", number, $"the types read are {WeightTypes.Listed}; requantize the model to one of them");

        var type = (WeightType)number;
        if (dimensions[0] % type.BlockColumns() != 0) throw reader.Fault($"row length of tensor '{name}'", dimensions[0], $"it must be a multiple of {type.BlockColumns()} for {type}");

        var rowBytes = type.RowBytes(dimensions[0]);
        if (rowBytes > int.MaxValue) throw reader.Fault($"row length of tensor '{name}'", $"{rowBytes} bytes", "less than 2^31 are read");

        return new TensorInfo(name, dimensions, type, (int)rows, (int)rowBytes, reader.UInt64($"offset of tensor '{name}'"));
    }

    private GgufException Wrong(string key, object value, Type wanted, Exception? inner)
    {
        var found = value switch { GgufText => "a text", GgufArray array => $"an array of {array.Count} items of type {array.ItemType}", _ => value };
        return new GgufException(string.Create(CultureInfo.InvariantCulture, $"'{_path}': '{key}' is {found}, where a value of type {(Nullable.GetUnderlyingType(wanted) ?? wanted).Name} is needed."), inner);
    }

    private object Read(string key, object place, Type wanted)
    {
        ObjectDisposedException.ThrowIf(_bytes.IsClosed, this);
        if (place is GgufText text)
        {
            if (wanted != typeof(string)) throw Wrong(key, place, wanted, null);
            return Reader(text.Position).Text(key, MaxTextBytes);
        }

        var array = (GgufArray)place;
        var reader = Reader(array.Position);
        if (array.Count > MaxItems) throw reader.Fault($"the count of '{key}'", array.Count, $"at most {MaxItems} are read");
        if (array.ByteLength > MaxArrayBytes) throw reader.Fault($"the length of '{key}'", $"{array.ByteLength} bytes", $"at most {MaxArrayBytes} are read");
        return array.ItemType switch
        {
            4 or 5 when wanted == typeof(int[]) => reader.Integers(key, array.Count),
            6 when wanted == typeof(float[]) => reader.Floats(key, array.Count),
            8 when wanted == typeof(string[]) => reader.Texts(key, array.Count),
            _ => throw Wrong(key, place, wanted, null),
        };
    }

    private GgufReader Reader(int position) => new(_path, new GgufWindow(this), position);

    private void ReadHeader()
    {
        var reader = Reader(0);
        var magic = reader.UInt32("magic");
        if (magic != Magic) throw reader.Fault("magic", $"0x{magic:X8}", $"a GGUF file begins with 0x{Magic:X8} ('GGUF')");

        var version = reader.UInt32("version");
        if (version is not (2 or 3)) throw reader.Fault("version", version, "versions 2 and 3 are read, of little-endian machines");

        var tensorCount = reader.Count("tensor count", 24, MaxEntries);
        var keyCount = reader.Count("metadata count", 13, MaxEntries);
        for (var i = 0; i < keyCount; i++)
        {
            var key = reader.Text($"key {i}", MaxNameBytes);
            if (!_metadata.TryAdd(key, reader.Value(key))) throw reader.Fault($"key {i}", $"'{key}'", "that key was there already");
        }

        var infos = new List<TensorInfo>(tensorCount);
        for (var i = 0; i < tensorCount; i++) infos.Add(ReadInfo(reader, i));

        var alignment = Alignment(reader, _metadata);
        var data = ((long)reader.Position + alignment - 1) / alignment * alignment;
        var room = (ulong)Math.Max(0, Length - data);
        foreach (var info in infos)
        {
            var bytes = (long)info.Rows * info.RowBytes;
            if (info.Offset % (ulong)alignment != 0) throw reader.Fault($"offset of tensor '{info.Name}'", info.Offset, $"it must be a multiple of {alignment}");
            if (info.Offset > room || (ulong)bytes > room - info.Offset) throw reader.Fault($"tensor '{info.Name}'", $"{bytes} bytes at {info.Offset}", $"the file ends at byte {Length}; it is truncated");
            if (!_tensors.TryAdd(info.Name, GgufTensor.Of(this, info, data + (long)info.Offset))) throw reader.Fault("a tensor's name", $"'{info.Name}'", "that tensor was there already");
        }
    }

    /// <summary>What a header says of a tensor, checked: every product of these sizes fits where it is kept.</summary>
    internal readonly record struct TensorInfo(string Name, int[] Dimensions, WeightType Type, int Rows, int RowBytes, ulong Offset);
}
