using System.Buffers.Binary;
using System.Text;
using Serverless.Hosting.Redis.Connection;

namespace Serverless.Hosting.Redis.Log;

/// <summary>Records as a script told them to a channel while it appended them: run (16 characters), length and text of the id, first sequence, then each record with its length.</summary>
internal readonly record struct RedisHint(string Run, string Id, long From, ReadOnlyMemory<byte> Frames)
{
    private const int RunLength = RedisServerCheck.RunLength;

    public static bool TryRead(ReadOnlyMemory<byte> message, out RedisHint hint)
    {
        hint = default;
        var bytes = message.Span;
        if (bytes.Length < RunLength + 2) return false;

        var idLength = BinaryPrimitives.ReadUInt16BigEndian(bytes[RunLength..]);
        var at = RunLength + 2 + idLength;
        if (bytes.Length < at + 8) return false;

        var id = Encoding.UTF8.GetString(bytes.Slice(RunLength + 2, idLength));
        hint = new RedisHint(Encoding.ASCII.GetString(bytes[..RunLength]), id, BinaryPrimitives.ReadInt64BigEndian(bytes[at..]), message[(at + 8)..]);
        return true;
    }

    /// <summary>Takes the next record off <paramref name="frames"/>; false when there is no whole one.</summary>
    public static bool TryTake(ref ReadOnlyMemory<byte> frames, out ReadOnlyMemory<byte> record)
    {
        record = default;
        if (frames.Length < 4) return false;

        var length = BinaryPrimitives.ReadInt32BigEndian(frames.Span);
        if (length < 0 || frames.Length - 4 < length) return false;

        record = frames.Slice(4, length);
        frames = frames[(4 + length)..];
        return true;
    }
}
