using System.Globalization;
using System.Text;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>A published value as it stands in its hash and is told to its channel: the store's time in milliseconds, who wrote it, and its JSON, a space between each.</summary>
internal readonly record struct FeedEntry(long At, string Writer, ReadOnlyMemory<byte> Json)
{
    public static bool TryRead(ReadOnlyMemory<byte> bytes, out FeedEntry entry)
    {
        entry = default;
        var text = bytes.Span;
        var first = text.IndexOf((byte)' ');
        if (first < 0 || !long.TryParse(text[..first], CultureInfo.InvariantCulture, out var at)) return false;

        var second = text[(first + 1)..].IndexOf((byte)' ');
        if (second < 0) return false;

        entry = new FeedEntry(at, Encoding.UTF8.GetString(text.Slice(first + 1, second)), bytes[(first + second + 2)..]);
        return true;
    }
}
