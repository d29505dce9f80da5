using System.Text;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>A queued request in the hands of a test, which plays its dispatcher and worker.</summary>
internal sealed class HeldRequest(InferenceRequest request, IRequestLog log)
{
    private readonly Dictionary<int, int> _positions = [];
    private Fence _fence;
    private long _last;

    public InferenceRequest Request { get; } = request;

    public async Task BeginAsync()
    {
        await log.AcceptAsync(Request.Id, Request.AcceptedAt, Token);
        var begun = await log.BeginAsync(Request.Id, 1, Guid.NewGuid(), Token);
        (_fence, _last) = (begun.Fence, begun.LastSequence);
        await AppendAsync(new RequestEvent.Started(1, "worker", Request.AcceptedAt));
    }

    /// <summary>Says a text as one token; the first with the tokens of the prompt, where they are given.</summary>
    public Task<AppendStatus> SayAsync(string text, int choice = 0, FinishReason? finish = null, bool logProbs = false, params string[] prompt)
    {
        var position = _positions.GetValueOrDefault(choice);
        _positions[choice] = position + 1;
        var chunk = new ChoiceChunk(choice, position, [100 + position], text)
        {
            Finish = finish,
            LogProbs = logProbs ? [.. prompt.Select((token, index) => index == 0 ? LogProb(token, float.NaN) : LogProb(token, -2f, [LogProb("x", -1.5f)])), LogProb(text, -0.5f, [LogProb(text, -0.5f), LogProb("x", -1.5f)])] : [],
        };
        return AppendAsync(new RequestEvent.Chunk([chunk]));
    }

    public Task<AppendStatus> FinishAsync(int promptTokens = 5, int completionTokens = 2) => AppendAsync(new RequestEvent.Finished(new TokenUsage(promptTokens, completionTokens, 1)));

    public Task<AppendStatus> FailAsync(ServingError error, string message) => AppendAsync(new RequestEvent.Failed(new ServingFault(error, message)));

    public async Task<AppendStatus> AppendAsync(RequestEvent logged)
    {
        var status = await log.AppendAsync(Request.Id, _fence, _last + 1, [logged], Token);
        if (status == AppendStatus.Accepted) _last++;
        return status;
    }

    /// <summary>How the request ended; waits for it.</summary>
    public async Task<RequestEvent> EndAsync()
    {
        await foreach (var logged in log.FollowAsync(Request.Id, 0, Token))
        {
            if (logged.Event.IsTerminal) return logged.Event;
        }

        throw new InvalidOperationException("A log ended without an end.");
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static TokenLogProb LogProb(string text, float value, IReadOnlyList<TokenLogProb>? top = null) => new(7, Encoding.UTF8.GetBytes(text), value, top ?? []);
}
