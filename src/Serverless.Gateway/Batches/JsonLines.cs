using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Serverless.Gateway.Batches;

/// <summary>The lines of a JSONL stream: ended by LF or CRLF, the last one perhaps by nothing; a byte order mark before the first is passed over. Holds one line.</summary>
internal static class JsonLines
{
    private static readonly byte[] Mark = [0xEF, 0xBB, 0xBF];

    /// <param name="stream">Read to its end.</param>
    /// <param name="maxBytes">The longest line that is given; of a longer one its number alone.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>Each line that is not blank, with its number from 1; null: it is too long.</returns>
    public static async IAsyncEnumerable<(int Number, byte[]? Line)> ReadAsync(Stream stream, int maxBytes, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var pipe = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 64 * 1024, leaveOpen: true));
        var (number, isTooLong) = (0, false);
        try
        {
            while (true)
            {
                var read = await pipe.ReadAsync(cancellationToken);
                var buffer = read.Buffer;
                while (buffer.PositionOf((byte)'\n') is { } end)
                {
                    var line = buffer.Slice(0, end);
                    buffer = buffer.Slice(buffer.GetPosition(1, end));
                    number++;
                    if (isTooLong || line.Length > maxBytes) yield return (number, null);
                    else if (Trim(line, number) is { Length: > 0 } text) yield return (number, text);
                    isTooLong = false;
                }

                if (read.IsCompleted)
                {
                    if (isTooLong || buffer.Length > maxBytes) yield return (number + 1, null);
                    else if (Trim(buffer, number + 1) is { Length: > 0 } text) yield return (number + 1, text);
                    yield break;
                }

                if (buffer.Length > maxBytes) // what is no line any more is passed over as it comes
                {
                    isTooLong = true;
                    buffer = buffer.Slice(buffer.End);
                }

                pipe.AdvanceTo(buffer.Start, buffer.End);
            }
        }
        finally
        {
            await pipe.CompleteAsync();
        }
    }

    private static byte[] Trim(in ReadOnlySequence<byte> line, int number)
    {
        Span<byte> bytes = line.ToArray();
        if (number == 1 && bytes.StartsWith(Mark)) bytes = bytes[Mark.Length..];
        return bytes.Trim(" \t\r"u8).ToArray();
    }
}
