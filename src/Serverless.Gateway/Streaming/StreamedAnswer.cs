using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Http;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Streaming;

/// <summary>
/// An answer as server-sent events: per part <c>id: sequence.part</c> and <c>data: {…}</c>, at the end <c>data: [DONE]</c>. The parts of an event of the log are always the
/// same, so an id names one part for good. Comments tell a waiting client what it waits for.
/// A failure is an error event <b>and an aborted connection</b>: half of the known clients take a clean end for success.
/// </summary>
internal sealed class StreamedAnswer : IAnswer
{
    private static readonly TimeSpan BeforeAbort = TimeSpan.FromMilliseconds(20);

    private readonly HttpContext _http;
    private readonly AnswerShape _shape;
    private readonly Func<string> _describeWait;
    private readonly TimeProvider _time;
    private readonly TimeSpan _maxSilence;
    private readonly PipeWriter _output;
    private readonly AnswerWriter _writer;
    private readonly Choices _choices;
    private long _lastSent;
    private string? _lastNotice;
    private bool _started;
    private bool _unsent;
    private long _sequence;
    private int _part;

    public StreamedAnswer(HttpContext http, AnswerShape shape, Func<string> describeWait, TimeProvider time, TimeSpan maxSilence)
    {
        _http = http;
        _shape = shape;
        _describeWait = describeWait;
        _time = time;
        _maxSilence = maxSilence;
        _output = http.Response.BodyWriter;
        _writer = new AnswerWriter(shape, _output);
        _choices = new Choices(shape.Choices);
    }

    public bool TryAppend(long sequence, RequestEvent.Chunk chunk)
    {
        foreach (var part in chunk.Choices)
        {
            if (_choices.Find(part.Choice) is not { } choice || !choice.TryAdvance(part)) return false;
            Render(sequence, choice, part);
        }

        return true;
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (!_unsent) return;

        _unsent = false;
        _lastSent = _time.GetTimestamp();
        await _output.FlushAsync(cancellationToken);
    }

    public async ValueTask NoticeAsync(CancellationToken cancellationToken)
    {
        var notice = _describeWait();
        if (_started && notice == _lastNotice && _time.GetElapsedTime(_lastSent) < _maxSilence) return;

        Start();
        _lastNotice = notice;
        Write(": waiting: "u8);
        _output.Write(Encoding.UTF8.GetBytes(notice));
        Write("\n\n"u8);
        await FlushAsync(cancellationToken);
    }

    public async ValueTask FinishAsync(long sequence, TokenUsage usage, CancellationToken cancellationToken)
    {
        foreach (var choice in _choices.All())
        {
            // An engine may end a request without a word for a choice; its client still gets a first and a last part.
            if (choice.Finish is null) RenderEnd(sequence, choice);
        }

        if (_shape.IncludeUsage)
        {
            BeginPart(sequence);
            _writer.WriteUsage(usage);
            Write("\n\n"u8);
        }

        Start();
        Write("data: [DONE]\n\n"u8);
        await FlushAsync(cancellationToken);
    }

    public async ValueTask FailAsync(ServingFault fault, CancellationToken cancellationToken)
    {
        if (!_started && !_http.Response.HasStarted)
        {
            await ErrorBody.SendAsync(_http, fault, cancellationToken);
            return;
        }

        Write("data: "u8);
        _output.Write(ErrorBody.Encode(fault));
        Write("\n\n"u8);
        await FlushAsync(cancellationToken);

        // A flush ends at the transport's buffer and an abort throws that away: without a moment between them the client would see the reset alone.
        await Task.Delay(BeforeAbort, _time, cancellationToken);
        _http.Abort();
    }

    public void Dispose() => _writer.Dispose();

    private void Render(long sequence, ChoiceOutput choice, ChoiceChunk chunk)
    {
        RenderOpening(sequence, choice);

        // Held-back text has nothing to show yet.
        if (chunk.Text.Length > 0 || (_shape.LogProbs && chunk.LogProbs.Count > 0))
        {
            BeginPart(sequence);
            _writer.WriteDelta(choice, chunk);
            Write("\n\n"u8);
        }

        if (chunk.Finish is not null) RenderEnd(sequence, choice);
    }

    private void RenderOpening(long sequence, ChoiceOutput choice)
    {
        if (choice.Opened) return;

        choice.Opened = true;
        if (!_writer.Format.Opens(_shape)) return;

        BeginPart(sequence);
        _writer.WriteOpening(choice);
        Write("\n\n"u8);
    }

    private void RenderEnd(long sequence, ChoiceOutput choice)
    {
        RenderOpening(sequence, choice);
        BeginPart(sequence);
        _writer.WriteFinish(choice);
        Write("\n\n"u8);
    }

    private void BeginPart(long sequence)
    {
        Start();
        _part = sequence == _sequence ? _part + 1 : 0;
        _sequence = sequence;

        const int LongestId = 4 + 20 + 1 + 11 + 7;
        var line = _output.GetSpan(LongestId);
        "id: "u8.CopyTo(line);
        var length = 4;
        Utf8Formatter.TryFormat(sequence, line[length..], out var written);
        line[length += written] = (byte)'.';
        Utf8Formatter.TryFormat(_part, line[++length..], out written);
        length += written;
        "\ndata: "u8.CopyTo(line[length..]);
        _output.Advance(length + 7);
    }

    private void Start()
    {
        if (_started) return;

        _started = true;
        var response = _http.Response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        // Tells nginx and its kin to pass parts on at once.
        response.Headers["X-Accel-Buffering"] = "no";
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        _output.Write(bytes);
        _unsent = true;
    }
}
