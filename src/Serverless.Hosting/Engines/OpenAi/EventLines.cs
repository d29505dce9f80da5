using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>The data of server-sent events, one for each <c>data:</c> line: engines write an event on one. Comments and other fields are passed over.</summary>
internal static class EventLines
{
    /// <summary>Bytes of a line at most: a token with its log-probabilities is a few kilobytes.</summary>
    public const int Longest = 1 << 20;

    private static readonly byte[] Field = "data:"u8.ToArray();

    /// <summary>Reads to the end of the stream, which stays open.</summary>
    /// <exception cref="EngineAnswerException">A line is longer than is read.</exception>
    public static async IAsyncEnumerable<byte[]> ReadAsync(Stream stream, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var reader = PipeReader.Create(stream, new StreamPipeReaderOptions(leaveOpen: true));
        try
        {
            while (true)
            {
                var result = await reader.ReadAsync(cancellationToken);
                var rest = result.Buffer;
                while (TryTake(ref rest, result.IsCompleted) is { } line)
                {
                    if (DataOf(line) is { } data) yield return data;
                }

                if (rest.Length > Longest) throw TooLong();
                reader.AdvanceTo(rest.Start, rest.End);
                if (result.IsCompleted) yield break;
            }
        }
        finally
        {
            await reader.CompleteAsync();
        }
    }

    /// <summary>The next line, without its end; null: there is none yet.</summary>
    private static ReadOnlySequence<byte>? TryTake(ref ReadOnlySequence<byte> rest, bool isWhole)
    {
        if (rest.PositionOf((byte)'\n') is { } end)
        {
            var line = rest.Slice(0, end);
            rest = rest.Slice(rest.GetPosition(1, end));
            return line;
        }

        if (!isWhole || rest.IsEmpty || rest.Length > Longest) return null;

        var last = rest;
        rest = rest.Slice(rest.End);
        return last;
    }

    private static EngineAnswerException TooLong() => new(string.Create(CultureInfo.InvariantCulture, $"a line of its stream is longer than {Longest} bytes, the limit"));

    private static byte[]? DataOf(ReadOnlySequence<byte> line)
    {
        if (line.Length > Longest) throw TooLong();
        if (line.Length <= Field.Length) return null;

        var bytes = line.ToArray().AsSpan();
        if (!bytes.StartsWith(Field)) return null;

        bytes = bytes[Field.Length..];
        if (bytes[0] == ' ') bytes = bytes[1..];
        if (bytes is [.., (byte)'\r']) bytes = bytes[..^1];
        return bytes.ToArray();
    }
}

/// <summary>An engine answered what no engine should: HTML, half a JSON, a stream without an end. The message says what, as the rest of a sentence.</summary>
internal sealed class EngineAnswerException(string message, Exception? inner = null) : Exception(message, inner);
