using System.Globalization;
using System.IO.MemoryMappedFiles;

namespace Serverless.Inference.Gguf;

/// <summary>
/// A GGUF v3 file, mapped into memory: metadata, and tensors whose bytes are read where they lie. Thread-safe; dispose it after its last use.
/// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
/// </summary>
public sealed unsafe class GgufFile : IDisposable
{
    private const uint Magic = 0x46554747;
    private const uint Version = 3;
    private const int MaxDimensions = 4;
    private const int DefaultAlignment = 32;

    private readonly string _path;
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly Dictionary<string, object> _metadata = new(StringComparer.Ordinal);
    private readonly Dictionary<string, GgufTensor> _tensors = new(StringComparer.Ordinal);

    private GgufFile(string path, MemoryMappedFile map, MemoryMappedViewAccessor view)
    {
        (_path, _map, _view) = (path, map, view);
    }

    /// <summary>The file's length in bytes.</summary>
    public long Length { get; private init; }

    /// <summary>All tensors by name.</summary>
    public IReadOnlyDictionary<string, GgufTensor> Tensors => _tensors;

    /// <summary>The keys of the metadata.</summary>
    public IReadOnlyCollection<string> Keys => _metadata.Keys;

    /// <summary>Maps the file and reads its header.</summary>
    /// <exception cref="GgufException">The file is missing, truncated or malformed.</exception>
    public static GgufFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            var length = new FileInfo(path).Length;
            if (length < 24) throw new GgufException($"'{path}' is no GGUF file: it has {length} bytes, and the header alone takes 24.");

            var map = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
            var view = map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            var file = new GgufFile(path, map, view) { Length = length };
            try
            {
                byte* start = null;
                view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
                file.Read(start, length);
                return file;
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new GgufException($"'{path}' cannot be opened: {exception.Message}", exception);
        }
    }

    /// <summary>Unmaps the file; its tensors must not be read any more.</summary>
    public void Dispose()
    {
        if (_view.SafeMemoryMappedViewHandle.IsClosed) return;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
    }

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="GgufException">There is none.</exception>
    public GgufTensor Tensor(string name) =>
        _tensors.GetValueOrDefault(name) ?? throw new GgufException($"'{_path}' has no tensor '{name}', which this architecture needs.");

    /// <summary>The value of <paramref name="key"/>, or null; of any type but arrays converted to <typeparamref name="T"/>.</summary>
    /// <exception cref="GgufException">The value is of another kind or does not fit.</exception>
    public T? Find<T>(string key)
    {
        if (!_metadata.TryGetValue(key, out var value)) return default;
        if (value is T found) return found;

        try
        {
            if (value is IConvertible and not string && typeof(T) != typeof(string) && !typeof(T).IsArray)
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

    private static int Alignment(ref GgufReader reader, Dictionary<string, object> metadata)
    {
        if (!metadata.TryGetValue("general.alignment", out var value)) return DefaultAlignment;
        return value is uint alignment and >= 8 and <= 65536 && (alignment & (alignment - 1)) == 0
            ? (int)alignment
            : throw reader.Fault("general.alignment", value, "it must be a power of two from 8 to 65536");
    }

    private GgufException Wrong(string key, object value, Type wanted, Exception? inner) =>
        new($"'{_path}': '{key}' is {(value is Array ? value.GetType().Name : value)}, where a value of type {(Nullable.GetUnderlyingType(wanted) ?? wanted).Name} is needed.", inner);

    private void Read(byte* start, long length)
    {
        var reader = new GgufReader(_path, new ReadOnlySpan<byte>(start, (int)Math.Min(length, int.MaxValue)));
        var magic = reader.UInt32("magic");
        if (magic != Magic) throw reader.Fault("magic", $"0x{magic:X8}", $"a GGUF file begins with 0x{Magic:X8} ('GGUF')");

        var version = reader.UInt32("version");
        if (version != Version) throw reader.Fault("version", version, $"version {Version} is read");

        var tensorCount = reader.Count("tensor count", 24);
        var keyCount = reader.Count("metadata count", 13);
        for (var i = 0; i < keyCount; i++)
        {
            var key = reader.Text($"key {i}");
            if (!_metadata.TryAdd(key, reader.Value(key))) throw reader.Fault($"key {i}", $"'{key}'", "that key was there already");
        }

        var infos = new List<(string Name, int[] Dimensions, GgufTensorType Type, ulong Offset)>(tensorCount);
        for (var i = 0; i < tensorCount; i++) infos.Add(TensorInfo(ref reader, i));

        var alignment = Alignment(ref reader, _metadata);
        var data = ((long)reader.Position + alignment - 1) / alignment * alignment;
        foreach (var (name, dimensions, type, offset) in infos)
        {
            var bytes = dimensions.Skip(1).Aggregate(GgufTensor.RowLength(type, dimensions[0]), (product, size) => checked(product * size));
            if (offset % (ulong)alignment != 0) throw reader.Fault($"offset of tensor '{name}'", offset, $"it must be a multiple of {alignment}");
            if (offset > (ulong)length || data + (long)offset + bytes > length) throw reader.Fault($"tensor '{name}'", $"{bytes} bytes at {offset}", $"the file ends at byte {length}; it is truncated");
            if (!_tensors.TryAdd(name, new GgufTensor(name, dimensions, type, start + data + (long)offset, bytes))) throw reader.Fault("a tensor's name", $"'{name}'", "that tensor was there already");
        }
    }

    private static (string Name, int[] Dimensions, GgufTensorType Type, ulong Offset) TensorInfo(ref GgufReader reader, int index)
    {
        var name = reader.Text($"name of tensor {index}");
        var count = reader.UInt32($"dimension count of tensor '{name}'");
        if (count is 0 or > MaxDimensions) throw reader.Fault($"dimension count of tensor '{name}'", count, $"1 to {MaxDimensions} are read");

        var dimensions = new int[count];
        long elements = 1;
        for (var i = 0; i < count; i++)
        {
            var size = reader.UInt64($"dimension {i} of tensor '{name}'");
            if (size is 0 or > int.MaxValue || (elements *= (long)size) > 1L << 40) throw reader.Fault($"dimension {i} of tensor '{name}'", size, "a tensor has 1 to 2^40 numbers");
            dimensions[i] = (int)size;
        }

        var type = reader.UInt32($"type of tensor '{name}'");
        if (!Enum.IsDefined((GgufTensorType)type)) throw reader.Fault($"type of tensor '{name}'", type, "the types read are F32 (0), F16 (1), Q4_0 (2), Q4_1 (3) and Q8_0 (8); requantize the model to one of them");
        if ((GgufTensorType)type is not (GgufTensorType.F32 or GgufTensorType.F16) && dimensions[0] % GgufTensor.BlockSize != 0)
            throw reader.Fault($"row length of tensor '{name}'", dimensions[0], $"it must be a multiple of {GgufTensor.BlockSize} for {(GgufTensorType)type}");

        return (name, dimensions, (GgufTensorType)type, reader.UInt64($"offset of tensor '{name}'"));
    }
}
