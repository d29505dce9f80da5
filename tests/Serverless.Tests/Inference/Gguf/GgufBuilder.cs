using System.Text;

namespace Serverless.Tests.Inference.Gguf;

/// <summary>Writes GGUF headers that nobody has checked.</summary>
internal sealed class GgufBuilder : IDisposable
{
    private readonly MemoryStream _tensors = new();
    private readonly MemoryStream _metadata = new();
    private ulong _tensorCount;
    private ulong _keyCount;

    public uint Version { get; set; } = 3;

    public ulong ExtraCount { get; set; }

    /// <summary>A tensor with any dimensions, of any type, anywhere.</summary>
    public GgufBuilder Tensor(string name, uint type, ulong offset, params ReadOnlySpan<ulong> dimensions)
    {
        _tensorCount++;
        Text(_tensors, name);
        Number(_tensors, (uint)dimensions.Length);
        foreach (var dimension in dimensions) Number(_tensors, dimension);
        Number(_tensors, type);
        Number(_tensors, offset);
        return this;
    }

    /// <summary>A key whose value is these bytes, whatever they are.</summary>
    public GgufBuilder Key(string name, uint type, params ReadOnlySpan<byte> value)
    {
        _keyCount++;
        Text(_metadata, name);
        Number(_metadata, type);
        _metadata.Write(value);
        return this;
    }

    /// <summary>An array that says it has <paramref name="count"/> items.</summary>
    public GgufBuilder Array(string name, uint itemType, ulong count, params ReadOnlySpan<byte> items) => Key(name, 9, [.. BitConverter.GetBytes(itemType), .. BitConverter.GetBytes(count), .. items]);

    /// <summary>The file, with room behind its header for as much data as makes it <paramref name="length"/> long; sparse.</summary>
    public void Save(string path, long length)
    {
        using var file = File.Create(path);
        file.Write("GGUF"u8);
        Number(file, Version);
        Number(file, _tensorCount + ExtraCount);
        Number(file, _keyCount);
        file.Write(_metadata.GetBuffer().AsSpan(0, (int)_metadata.Length));
        file.Write(_tensors.GetBuffer().AsSpan(0, (int)_tensors.Length));
        file.SetLength(Math.Max(length, file.Length));
    }

    public void Dispose()
    {
        _tensors.Dispose();
        _metadata.Dispose();
    }

    private static void Number(Stream to, uint value) => to.Write(BitConverter.GetBytes(value));

    private static void Number(Stream to, ulong value) => to.Write(BitConverter.GetBytes(value));

    private static void Text(Stream to, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Number(to, (ulong)bytes.Length);
        to.Write(bytes);
    }
}
