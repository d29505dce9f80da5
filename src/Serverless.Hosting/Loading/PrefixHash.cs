using System.Buffers;
using System.Security.Cryptography;

namespace Serverless.Hosting.Loading;

/// <summary>Hashes a file behind those who write it, from its beginning on as far as it is here: once the last byte has come there is little left to read.</summary>
internal sealed class PrefixHash : IDisposable
{
    private const int BufferBytes = 1 << 20;

    private readonly IncrementalHash _sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly SemaphoreSlim _more = new(0, 1);
    private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);

    /// <summary>Bytes came.</summary>
    public void Wake()
    {
        try
        {
            if (_more.CurrentCount == 0) _more.Release();
        }
        catch (SemaphoreFullException)
        {
            // Another one woke it.
        }
    }

    /// <summary>The SHA-256 of the whole file.</summary>
    public async Task<string> RunAsync(PartFile part, CancellationToken cancellationToken)
    {
        var hashed = 0L;
        while (true)
        {
            for (var prefix = part.Prefix; hashed < prefix;)
            {
                var read = await RandomAccess.ReadAsync(part.Handle, _buffer.AsMemory(0, (int)Math.Min(BufferBytes, prefix - hashed)), hashed, cancellationToken);
                if (read == 0) throw new IOException($"'{part.Path}' is shorter than what was written to it.");
                _sha256.AppendData(_buffer, 0, read);
                hashed += read;
            }

            if (part.IsWhole && part.Length == hashed) return Convert.ToHexStringLower(_sha256.GetHashAndReset());
            await _more.WaitAsync(cancellationToken);
        }
    }

    public void Dispose()
    {
        _sha256.Dispose();
        _more.Dispose();
        ArrayPool<byte>.Shared.Return(_buffer);
    }
}
