using System.Text;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>An <see cref="AnswerShape"/> in about a hundred bytes. Fields are only ever added, at the end and with the next version, so one release reads the next one's.</summary>
internal static class ShapeCodec
{
    private const byte Version = 2;
    private const int MostChoices = 1 << 16;

    [Flags]
    private enum Flag : byte
    {
        None = 0,
        Completion = 1,
        LogProbs = 2,
        IncludeUsage = 4,
        Stream = 8,
        Keyed = 16,
    }

    public static byte[] Encode(AnswerShape shape)
    {
        using var bytes = new MemoryStream(128);
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        writer.Write(Version);
        writer.Write((byte)Flags(shape));
        writer.Write(shape.Model);
        writer.Write7BitEncodedInt64(shape.Created);
        writer.Write(shape.ServiceTier);
        writer.Write(shape.SystemFingerprint);
        writer.Write7BitEncodedInt(shape.Choices);
        writer.Write7BitEncodedInt(shape.TopLogProbs);
        writer.Write7BitEncodedInt((int)shape.Resume.TotalSeconds);
        writer.Write7BitEncodedInt(shape.Echo.Count);
        foreach (var prompt in shape.Echo) writer.Write(prompt);
        writer.Write(shape.Endpoint.Value);
        return bytes.ToArray();
    }

    /// <summary>Null if these bytes are no shape: a log that no gateway opened.</summary>
    public static AnswerShape? Decode(RequestId id, ReadOnlyMemory<byte> encoded)
    {
        try
        {
            using var reader = new BinaryReader(new MemoryStream(encoded.ToArray()), Encoding.UTF8);
            var version = reader.ReadByte();
            if (version < 1) return null;

            var flags = (Flag)reader.ReadByte();
            var shape = new AnswerShape
            {
                Id = id,
                Endpoint = flags.HasFlag(Flag.Completion) ? EndpointName.Completions : EndpointName.ChatCompletions,
                LogProbs = flags.HasFlag(Flag.LogProbs),
                IncludeUsage = flags.HasFlag(Flag.IncludeUsage),
                Stream = flags.HasFlag(Flag.Stream),
                Keyed = flags.HasFlag(Flag.Keyed),
                Model = reader.ReadString(),
                Created = reader.Read7BitEncodedInt64(),
                ServiceTier = reader.ReadString(),
                SystemFingerprint = reader.ReadString(),
                Choices = reader.Read7BitEncodedInt(),
                TopLogProbs = reader.Read7BitEncodedInt(),
                Resume = TimeSpan.FromSeconds(reader.Read7BitEncodedInt()),
            };
            if (shape.Choices is < 1 or > MostChoices) return null;

            var echo = new string[Math.Min(reader.Read7BitEncodedInt(), shape.Choices)];
            for (var i = 0; i < echo.Length; i++) echo[i] = reader.ReadString();
            return shape with { Echo = echo, Endpoint = version >= 2 ? new EndpointName(reader.ReadString()) : shape.Endpoint };
        }
        catch (Exception e) when (e is IOException or FormatException or OverflowException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>Whether the encoded shape is of an answer in one piece that was asked for under an idempotency key. Reads two bytes: every end of a request asks.</summary>
    public static bool IsKeyedWhole(ReadOnlySpan<byte> encoded) => encoded.Length > 1 && ((Flag)encoded[1] & (Flag.Keyed | Flag.Stream)) == Flag.Keyed;

    private static Flag Flags(AnswerShape shape) =>
        (shape.Endpoint == EndpointName.Completions ? Flag.Completion : Flag.None)
        | (shape.LogProbs ? Flag.LogProbs : Flag.None)
        | (shape.IncludeUsage ? Flag.IncludeUsage : Flag.None)
        | (shape.Stream ? Flag.Stream : Flag.None)
        | (shape.Keyed ? Flag.Keyed : Flag.None);
}
