using System.Buffers;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>Collects a request's output and writes it as one object. Not thread-safe.</summary>
internal sealed class WholeOutput(AnswerShape shape)
{
    private readonly Choices _choices = new(shape.Choices, static (_, choice, part) => choice.Keep(part));

    /// <summary>False if it does not follow what came before: the answer is then broken.</summary>
    public bool TryAppend(long sequence, RequestEvent.Chunk chunk) => _choices.TryAppend(sequence, chunk);

    /// <summary>The object.</summary>
    public ReadOnlyMemory<byte> Encode(TokenUsage usage)
    {
        var body = new ArrayBufferWriter<byte>(1024);
        using (var writer = new AnswerWriter(shape, body)) writer.WriteWhole(_choices.All(), usage);
        return body.WrittenMemory;
    }
}
