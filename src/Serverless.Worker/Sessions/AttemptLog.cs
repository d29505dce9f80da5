using Serverless.Dispatching;
using Serverless.Requests;

namespace Serverless.Worker.Sessions;

/// <summary>(f) Appends one attempt's events, in order and fenced. Not thread-safe.</summary>
internal sealed class AttemptLog(IRequestLog log, Assignment assignment)
{
    private readonly List<RequestEvent> _events = [];
    private long _next = assignment.LastSequence + 1;

    /// <summary>Output tokens appended or about to be.</summary>
    public int OutputTokens { get; private set; }

    public int Pending => _events.Count;

    /// <summary>Whether the log itself failed: nothing can be said through it.</summary>
    public bool Failed { get; private set; }

    public void Add(RequestEvent next)
    {
        _events.Add(next);
        if (next is not RequestEvent.Chunk chunk) return;
        foreach (var choice in chunk.Choices) OutputTokens += choice.TokenIds.Count;
    }

    /// <summary>Writes what was added. Anything but <see cref="AppendStatus.Accepted"/> means that this attempt has nothing more to say.</summary>
    public async ValueTask<AppendStatus> FlushAsync(CancellationToken cancellationToken)
    {
        if (_events.Count == 0) return AppendStatus.Accepted;

        AppendStatus status;
        try
        {
            status = await log.AppendAsync(assignment.Request.Id, assignment.Fence, _next, _events.ToArray(), cancellationToken);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            Failed = true;
            throw;
        }

        if (status != AppendStatus.Accepted) return status;

        _next += _events.Count;
        _events.Clear();
        return status;
    }
}
