using Serverless.Catalog;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Tests.Dispatching;

/// <summary>A worker that ends at once what it is assigned, and comes back whenever it is let go.</summary>
internal sealed class WillingWorker(MemoryWorkerSessions sessions, IRequestLog log)
{
    private long _highestEpoch;

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true) await ServeAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task ServeAsync(CancellationToken stoppingToken)
    {
        await using var link = await sessions.ConnectAsync(
            new WorkerDescription { Worker = "willing", Pool = new PoolName("tiny-cpu"), Model = TestRequests.Model, Engine = "scripted", KvCapacityTokens = 1000, Slots = 8, HighestEpoch = _highestEpoch },
            stoppingToken);
        _highestEpoch = Math.Max(_highestEpoch, link.Epoch);
        await foreach (var message in link.ReadAsync(stoppingToken))
        {
            if (message is not DispatcherMessage.Assign { Assignment: var assignment }) continue;
            var usage = new TokenUsage(assignment.Request.PromptTokens, 1);
            await log.AppendAsync(assignment.Request.Id, assignment.Fence, assignment.LastSequence + 1, [new RequestEvent.Finished(usage)], stoppingToken);
            await link.SendAsync(new WorkerMessage.AttemptEnded(assignment.Request.Id, AttemptOutcome.Ended, 1) { Attempt = assignment.Fence.Attempt, How = RequestOutcome.Finished }, stoppingToken);
        }
    }
}
