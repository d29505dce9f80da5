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
/// An answer as server-sent events: per part <c>id: sequence.part.tokens</c> (ADR 9) and <c>data: {…}</c>, at the end <c>data: [DONE]</c>. The parts of an event of the log are always the
/// same, so an id names one part for good. Comments tell a waiting client what it waits for.
/// A failure is an error event <b>and an aborted connection</b>: half of the known clients take a clean end for success.
/// </summary>
internal sealed class StreamedAnswer : IAnswer
{
    private const int MostUnsent = 64 * 1024;

    private static readonly TimeSpan BeforeAbort = TimeSpan.FromMilliseconds(100);

    private readonly HttpContext _http;
    private readonly AnswerShape _shape;
    private readonly Func<string> _describeWait;
    private readonly TimeProvider _time;
    private readonly TimeSpan _maxSilence;
    private readonly PipeWriter _output;
    private readonly EventId _after;
    private readonly AnswerWriter _writer;
    private readonly Choices _choices;
    private long _lastSent;
    private string? _lastNotice;
    private bool _started;
    private bool _unsent;
    private bool _outputBegan;
    private bool _passed;
    private long _sequence;
    private int _part;
    private long _tokens;
    private ArrayBufferWriter<byte>? _known;

    /// <param name="http">Where it goes.</param>
    /// <param name="shape">How it looks.</param>
    /// <param name="after">The last part that its client has: what is up to there is rendered, for the sake of what follows, and not sent.</param>
    /// <param name="describeWait">What it waits for, in a line.</param>
    /// <param name="time">The clock.</param>
    /// <param name="maxSilence">A comment is sent after so long without anything.</param>
    public StreamedAnswer(HttpContext http, AnswerShape shape, EventId after, Func<string> describeWait, TimeProvider time, TimeSpan maxSilence)
    {
        _after = after;
        _http = http;
        _shape = shape;
        _describeWait = describeWait;
        _time = time;
        _maxSilence = maxSilence;
        _output = http.Response.BodyWriter;
        _writer = new AnswerWriter(shape, _output);
        _choices = new Choices(shape.Choices, Render);
    }

    /// <summary>What is resumed or replayed comes all at once: it is sent in pieces, and its reader holds it up.</summary>
    public bool IsFull => _output.CanGetUnflushedBytes && _output.UnflushedBytes >= MostUnsent;

    private bool HasBegun => _started || _http.Response.HasStarted;

    public bool TryAppend(long sequence, RequestEvent.Chunk chunk)
    {
        _outputBegan = true;
        return _choices.TryAppend(sequence, chunk);
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (!_unsent) return;

        _unsent = false;
        _lastSent = _time.GetTimestamp();
        await _output.FlushAsync(cancellationToken);
    }

    public async ValueTask NoticeAsync(string? outage, CancellationToken cancellationToken)
    {
        var notice = outage is not null ? "paused: " + OneLine(outage) : _outputBegan ? "generating" : "waiting: " + _describeWait();
        var isNews = notice != _lastNotice && (!_outputBegan || outage is not null);
        if (_started && !isNews && _time.GetElapsedTime(_lastSent) < _maxSilence) return;

        Start();
        _lastNotice = notice;
        Write(": "u8);
        _output.Write(Encoding.UTF8.GetBytes(notice));
        Write("\n"u8); // one: a blank line ends an event, and clients take a comment that has one for an event without data
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
            EndPart();
        }

        Start();
        Write("data: [DONE]\n\n"u8);
        await FlushAsync(cancellationToken);
    }

    public async ValueTask FailAsync(ServingFault fault, CancellationToken cancellationToken)
    {
        if (!HasBegun)
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
        _tokens += chunk.TokenIds.Count;

        // Held-back text has nothing to show yet.
        if (chunk.HasText || (_shape.LogProbs && chunk.LogProbs.Count > 0))
        {
            BeginPart(sequence, chunk.TokenIds.Count > 0);
            _writer.WriteDelta(choice, chunk);
            EndPart();
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
        EndPart();
    }

    private void RenderEnd(long sequence, ChoiceOutput choice)
    {
        RenderOpening(sequence, choice);
        BeginPart(sequence);
        _writer.WriteFinish(choice);
        EndPart();
    }

    private void BeginPart(long sequence, bool bringsTokens = false)
    {
        _part = sequence == _sequence ? _part + 1 : 0;
        _sequence = sequence;
        if (!_passed && _after.Covers(sequence, _part, _tokens, bringsTokens))
        {
            _known ??= new ArrayBufferWriter<byte>(256);
            _known.ResetWrittenCount();
            _writer.Redirect(_known);
            return;
        }

        _passed = true; // should the store lose data and sequences go back, what comes is new all the same
        if (_known is not null)
        {
            _known = null;
            _writer.Redirect(_output);
        }

        Start();
        const int LongestId = 4 + 19 + 1 + 10 + 1 + 19 + 7;
        var line = _output.GetSpan(LongestId);
        "id: "u8.CopyTo(line);
        var length = 4 + Format(line[4..], sequence);
        line[length++] = (byte)'.';
        length += Format(line[length..], _part);
        line[length++] = (byte)'.';
        length += Format(line[length..], _tokens);
        "\ndata: "u8.CopyTo(line[length..]);
        _output.Advance(length + 7);
    }

    private static int Format(Span<byte> into, long number)
    {
        Utf8Formatter.TryFormat(number, into, out var written);
        return written;
    }

    private void EndPart()
    {
        if (_known is null) Write("\n\n"u8);
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

    /// <summary>A line break inside a comment would begin a field.</summary>
    private static string OneLine(string text) => text.ReplaceLineEndings(" ").Replace('\r', ' ').Replace('\n', ' ');

    private void Write(ReadOnlySpan<byte> bytes)
    {
        _output.Write(bytes);
        _unsent = true;
    }
}
