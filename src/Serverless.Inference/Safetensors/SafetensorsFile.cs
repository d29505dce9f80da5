using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Safetensors;

/// <summary>
/// A safetensors file: tensors by name. Every size in its header is held against the file's length before it is used. Thread-safe; dispose it after its last use.
/// Format: https://github.com/huggingface/safetensors#format
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    private const int MaxHeaderBytes = 16 << 20;
    private const int MaxEntries = 1 << 16;
    private const int MaxNameBytes = 256;
    private const int MaxDimensions = 4;
    private const long MaxElements = 1L << 40;

    private readonly FileBytes _bytes;
    private readonly Dictionary<string, SafetensorsTensor> _tensors = new(StringComparer.Ordinal);

    private SafetensorsFile(FileBytes bytes) => _bytes = bytes;

    /// <summary>All tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsTensor> Tensors => _tensors;

    /// <summary>Opens the file and reads its header.</summary>
    /// <exception cref="SafetensorsException">The file is missing, truncated or malformed.</exception>
    public static SafetensorsFile Open(string path)
    {
        var bytes = FileBytes.Open(path, 8, "safetensors file", static (message, inner) => new SafetensorsException(message, inner));
        try
        {
            var file = new SafetensorsFile(bytes);
            file.ReadHeader();
            return file;
        }
        catch
        {
            bytes.Dispose();
            throw;
        }
    }

    /// <summary>Closes the file; its tensors can be read no more.</summary>
    public void Dispose() => _bytes.Dispose();

    internal void Read(long offset, Span<byte> into) => _bytes.Read(offset, into);

    private void ReadHeader()
    {
        Span<byte> prefix = stackalloc byte[8];
        _bytes.Read(0, prefix);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxHeaderBytes) throw Fault("the header's length", length, $"at most {MaxHeaderBytes} bytes are read");
        if ((long)length > _bytes.Length - 8) throw Fault("the header's length", length, $"the file ends at byte {_bytes.Length}; it is truncated");

        var header = new byte[length];
        _bytes.Read(8, header);
        try
        {
            var reader = new Utf8JsonReader(header, new JsonReaderOptions { MaxDepth = 8 });
            Expect(ref reader, JsonTokenType.StartObject, "the header");
            while (Next(ref reader) == JsonTokenType.PropertyName)
            {
                var name = NameOf(ref reader);
                if (name == "__metadata__")
                {
                    reader.Skip();
                    continue;
                }

                if (_tensors.Count == MaxEntries) throw Fault("the number of tensors", MaxEntries + 1, $"at most {MaxEntries} are read");
                if (!_tensors.TryAdd(name, ReadTensor(ref reader, name, 8 + (long)length))) throw Fault("a tensor's name", $"'{name}'", "that tensor was there already");
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or DecoderFallbackException)
        {
            throw new SafetensorsException($"'{_bytes.Path}' is no safetensors file that can be read: its header is no JSON of tensors: {SafetensorsException.Short(exception.Message)}", exception);
        }
    }

    private SafetensorsTensor ReadTensor(ref Utf8JsonReader reader, string name, long data)
    {
        Expect(ref reader, JsonTokenType.StartObject, $"tensor '{name}'");
        string? type = null;
        long[]? shape = null;
        long[]? offsets = null;
        while (Next(ref reader) == JsonTokenType.PropertyName)
        {
            var field = NameOf(ref reader);
            switch (field)
            {
                case "dtype":
                    Expect(ref reader, JsonTokenType.String, $"dtype of tensor '{name}'");
                    type = reader.ValueSpan.Length <= 16 ? reader.GetString() : "…";
                    break;
                case "shape":
                    shape = Numbers(ref reader, $"shape of tensor '{name}'", MaxDimensions);
                    break;
                case "data_offsets":
                    offsets = Numbers(ref reader, $"data_offsets of tensor '{name}'", 2);
                    break;
                default:
                    throw Fault($"a field of tensor '{name}'", $"'{field}'", "the fields are dtype, shape and data_offsets");
            }
        }

        if (shape is null || offsets is not [var begin, var end]) throw Fault($"tensor '{name}'", "without shape or data_offsets", "it needs both");
        var stored = type switch
        {
            "F32" => WeightType.F32,
            "F16" => WeightType.F16,
            "BF16" => WeightType.BF16,
            _ => throw Fault($"dtype of tensor '{name}'", $"'{type}'", "F32, F16 and BF16 are read"),
        };
        var (rows, columns) = Sizes(shape, name);
        var bytes = rows * columns * stored.BlockBytes();
        if (end > _bytes.Length - data || begin > end) throw Fault($"data_offsets of tensor '{name}'", $"{begin} to {end}", $"the file has {_bytes.Length - data} bytes of data; it is truncated");
        if (end - begin != bytes) throw Fault($"data_offsets of tensor '{name}'", $"{begin} to {end}", $"its shape and dtype make {bytes} bytes");

        return new SafetensorsTensor(this, data + begin) { Name = name, Type = stored, Rows = (int)rows, Columns = (int)columns, Dimensions = shape };
    }

    /// <summary>The last dimension is contiguous; all before it are rows.</summary>
    private (long Rows, long Columns) Sizes(long[] shape, string name)
    {
        var (elements, rows) = (1L, 1L);
        for (var i = 0; i < shape.Length; i++)
        {
            // Asked before it is multiplied: a product that has wrapped round looks like any other.
            if (shape[i] is 0 or > int.MaxValue || shape[i] > MaxElements / elements) throw Fault($"dimension {i} of tensor '{name}'", shape[i], "a tensor has 1 to 2^40 numbers, and each dimension less than 2^31");
            elements *= shape[i];
            if (i < shape.Length - 1) rows *= shape[i];
        }

        var columns = shape.Length == 0 ? 1 : shape[^1];
        if (rows > int.MaxValue) throw Fault($"row count of tensor '{name}'", rows, "less than 2^31 are read");
        return columns * 4 <= int.MaxValue ? (rows, columns) : throw Fault($"row length of tensor '{name}'", columns, "rows of less than 2^31 bytes are read");
    }

    private JsonTokenType Next(ref Utf8JsonReader reader)
    {
        if (!reader.Read()) throw Fault("the header", "cut off", "it must be one JSON object");
        return reader.TokenType;
    }

    private void Expect(ref Utf8JsonReader reader, JsonTokenType wanted, string field)
    {
        if (Next(ref reader) is var found && found != wanted) throw Fault(field, $"a JSON {found}", $"it must be a {wanted}");
    }

    private string NameOf(ref Utf8JsonReader reader) =>
        reader.ValueSpan.Length <= MaxNameBytes ? reader.GetString()! : throw Fault("the length of a name", reader.ValueSpan.Length, $"at most {MaxNameBytes} bytes are read");

    private long[] Numbers(ref Utf8JsonReader reader, string field, int most)
    {
        Expect(ref reader, JsonTokenType.StartArray, field);
        List<long> numbers = [];
        while (Next(ref reader) == JsonTokenType.Number)
        {
            if (!reader.TryGetInt64(out var number) || number < 0) throw Fault(field, "a negative, broken or larger number", "whole numbers from 0 to 2^63 are read");
            if (numbers.Count == most) throw Fault(field, $"more than {most} numbers", $"at most {most} are read");
            numbers.Add(number);
        }

        return reader.TokenType == JsonTokenType.EndArray ? [.. numbers] : throw Fault(field, $"with a JSON {reader.TokenType}", "it must be numbers");
    }

    private SafetensorsException Fault(string field, object value, string why) =>
        new(string.Create(CultureInfo.InvariantCulture, $"'{_bytes.Path}' is no safetensors file that can be read: {field} is {value}, but {why}. Download or convert the file again."));
}
