using System.Globalization;
using System.Text;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>
/// A published value as it stands in its hash and is told to its channel: the store's time in milliseconds, who wrote it and as which of all entries of the hash, and its JSON:
/// <c>1700000000123 3f2a…/57 {…}</c>. Earlier releases say no number, and take it for part of the writer's name.
/// </summary>
internal readonly record struct FeedEntry(long At, string Writer, long Number, ReadOnlyMemory<byte> Json)
{
    /// <summary>The writer of what its writer no longer stands by.</summary>
    public const string Nobody = "-";

    public static bool TryRead(ReadOnlyMemory<byte> bytes, out FeedEntry entry)
    {
        entry = default;
        var text = bytes.Span;
        var first = text.IndexOf((byte)' ');
        if (first < 0 || !long.TryParse(text[..first], CultureInfo.InvariantCulture, out var at)) return false;

        var second = text[(first + 1)..].IndexOf((byte)' ');
        if (second < 0) return false;

        var writer = text.Slice(first + 1, second);
        var slash = writer.LastIndexOf((byte)'/');
        var number = slash >= 0 && long.TryParse(writer[(slash + 1)..], CultureInfo.InvariantCulture, out var told) ? told : 0;
        entry = new FeedEntry(at, Encoding.UTF8.GetString(slash >= 0 ? writer[..slash] : writer), number, bytes[(first + second + 2)..]);
        return true;
    }
}
