using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>A worker whose every word is the test's.</summary>
internal sealed class ScriptedWorker(IDispatcherLink link, IRequestLog log)
{
    private readonly IAsyncEnumerator<DispatcherMessage> _messages = link.ReadAsync(TestContext.Current.CancellationToken).Enumerate(TestContext.Current.CancellationToken);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>The next thing the dispatcher says.</summary>
    public async Task<T> HearAsync<T>()
        where T : DispatcherMessage
    {
        (await _messages.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue("the session ended");
        return _messages.Current.ShouldBeOfType<T>();
    }

    /// <summary>The dispatcher ends the session.</summary>
    public async Task LetGoAsync() => (await _messages.MoveNextAsync().WithinLimitAsync()).ShouldBeFalse();

    public async Task<Assignment> AssignedAsync() => (await HearAsync<DispatcherMessage.Assign>()).Assignment;

    public async Task SayAsync(WorkerMessage message) => (await link.SendAsync(message, Token)).ShouldBeTrue();

    public Task LeftAsync(Assignment assignment, AttemptOutcome outcome, int tokens = 0) => SayAsync(new WorkerMessage.AttemptEnded(assignment.Request.Id, outcome, tokens) { Attempt = assignment.Fence.Attempt });

    /// <summary>Appends tokens after what the attempt continues.</summary>
    public async Task<AppendStatus> AppendAsync(Assignment assignment, int tokens)
    {
        var position = assignment.Output.Sum(chunk => chunk.TokenIds.Count);
        return await log.AppendAsync(
            assignment.Request.Id, assignment.Fence, assignment.LastSequence + 1, [.. Enumerable.Range(position, tokens).Select(place => TestRequests.Chunk(place))], Token);
    }

    /// <summary>Appends the end after <paramref name="appended"/> events of this attempt, and says so.</summary>
    public async Task FinishAsync(Assignment assignment, int appended = 0)
    {
        (await log.AppendAsync(
            assignment.Request.Id, assignment.Fence, assignment.LastSequence + appended + 1, [new RequestEvent.Finished(new TokenUsage(10, appended))], Token)).ShouldBe(AppendStatus.Accepted);
        await LeftAsync(assignment, AttemptOutcome.Ended, appended);
    }

    /// <summary>What it says of that assignment when it registers with the next dispatcher.</summary>
    public static AttemptClaim Held(Assignment assignment, int appended = 0) => new(assignment.Request.Id, assignment.Fence.Attempt, assignment.LastSequence + appended) { StoreRun = assignment.Fence.StoreRun };

    /// <summary>Goes away, as a process that is killed does.</summary>
    public ValueTask DieAsync() => link.DisposeAsync();
}
