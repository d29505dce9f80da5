using System.Net;
using System.Security.Cryptography;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Bytes that are made as they are sent.</summary>
internal sealed class GeneratedContent(long length, Action<long>? onPiece = null, bool toldLength = true) : HttpContent
{
    public string Hash { get; private set; } = "";

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        var piece = RandomNumberGenerator.GetBytes(1_000_000);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var left = length; left > 0; left -= piece.Length)
        {
            var some = piece.AsMemory(0, (int)Math.Min(left, piece.Length));
            hash.AppendData(some.Span);
            await stream.WriteAsync(some, TestContext.Current.CancellationToken);
            onPiece?.Invoke(left);
        }

        Hash = Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    protected override bool TryComputeLength(out long computed)
    {
        computed = length;
        return toldLength;
    }
}
