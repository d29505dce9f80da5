using System.Buffers;
using System.Text;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Deltas;

/// <summary>The output of a request as deltas: the parts that its stream over HTTP has. The parts of an event of the log are always the same. Not thread-safe; one a stream.</summary>
internal sealed class DeltaWriter : IDisposable
{
    private readonly ArrayBufferWriter<byte> _json = new(256);
    private readonly AnswerShape _shape;
    private readonly AnswerWriter _writer;
    private readonly Choices _choices;
    private readonly List<OutputDelta> _made = [];

    public DeltaWriter(AnswerShape shape)
    {
        _shape = shape;
        _writer = new AnswerWriter(shape, _json);
        _choices = new Choices(shape.Choices, Write);
    }

    /// <summary>False if it does not follow what came before: the stream is then broken.</summary>
    public bool TryAppend(long sequence, RequestEvent.Chunk chunk) => _choices.TryAppend(sequence, chunk);

    /// <summary>All choices have ended.</summary>
    public void Finish(TokenUsage usage)
    {
        foreach (var choice in _choices.All())
        {
            if (choice.Finish is null) End(choice); // an engine may end a request without a word for a choice
        }

        if (!_shape.IncludeUsage) return;

        _writer.WriteUsage(usage);
        Add(0, "");
    }

    /// <summary>What was made since the last time.</summary>
    public IReadOnlyList<OutputDelta> Take()
    {
        OutputDelta[] made = [.. _made];
        _made.Clear();
        return made;
    }

    public void Dispose() => _writer.Dispose();

    private void Write(long sequence, ChoiceOutput choice, ChoiceChunk chunk)
    {
        Open(choice);
        if (chunk.HasText || (_shape.LogProbs && chunk.LogProbs.Count > 0)) // held-back text has nothing to show yet
        {
            _writer.WriteDelta(choice, chunk);
            Add(choice.Index, chunk.Text);
        }

        if (chunk.Finish is not null) End(choice);
    }

    private void Open(ChoiceOutput choice)
    {
        if (choice.Opened) return;

        choice.Opened = true;
        if (!_writer.Format.Opens(_shape)) return;

        _writer.WriteOpening(choice);
        Add(choice.Index, "");
    }

    private void End(ChoiceOutput choice)
    {
        Open(choice);
        _writer.WriteFinish(choice);
        Add(choice.Index, "");
    }

    private void Add(int choice, string text)
    {
        _made.Add(new OutputDelta { Choice = choice, Text = text, Body = Encoding.UTF8.GetString(_json.WrittenSpan) });
        _json.ResetWrittenCount();
    }
}
