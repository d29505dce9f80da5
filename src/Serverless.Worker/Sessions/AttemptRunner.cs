using Microsoft.Extensions.Logging;
using Serverless.Engines;
using Serverless.Errors;
using Serverless.Requests;
using Serverless.Sessions;

namespace Serverless.Worker.Sessions;

/// <summary>(e) Runs attempts on an engine: what it generates goes to the attempt's log.</summary>
internal sealed partial class AttemptRunner(string worker, IEngine engine, Action firstToken, long maxOutputBytes, TimeProvider time, ILogger<AttemptRunner> logger)
{
    private const int MaxBatchedEvents = 64;

    private bool _sawToken;

    /// <summary>Runs the attempt to whatever end; a log that fails returns it, so that another attempt goes on from what is there.</summary>
    public async Task<AttemptOutcome> RunAsync(RunningAttempt attempt)
    {
        if (engine.Lost.IsCompleted) return AttemptOutcome.Returned;

        var (events, id) = (attempt.Log, attempt.Assignment.Request.Id);
        if (!engine.Endpoints.Contains(attempt.Assignment.Request.Endpoint.Value, StringComparer.Ordinal))
        {
            NotUnderstood(id, worker, attempt.Assignment.Request.Endpoint);
            return AttemptOutcome.NotUnderstood;
        }

        try
        {
            try
            {
                return await GenerateAsync(attempt);
            }
            catch (OperationCanceledException) when (attempt.Token.IsCancellationRequested)
            {
                return attempt.Outcome;
            }
            catch (ServingException exception) when (!events.Failed)
            {
                return await FailAsync(attempt, exception.Fault);
            }
            catch (Exception exception) when (engine.Lost.IsCompleted && !events.Failed)
            {
                EngineLost(exception, id, worker);
                return AttemptOutcome.Lost;
            }
            catch (EngineGaveUpException exception) when (!events.Failed)
            {
                EngineGaveUp(id, worker, exception.Message);
                if (await events.FlushAsync(attempt.Token) is var status and not AppendStatus.Accepted) return Outcome(status);
                return exception.IsBusy ? AttemptOutcome.Busy : AttemptOutcome.Failed;
            }
            catch (Exception exception) when (!events.Failed)
            {
                EngineFailed(exception, id, worker);
                return await FailAsync(attempt, new ServingFault(ServingError.EngineFailed, "The engine failed this request; send it again. The worker's log says why, under the id of the request."));
            }
        }
        catch (OperationCanceledException) when (attempt.Token.IsCancellationRequested)
        {
            return attempt.Outcome;
        }
        catch (Exception exception)
        {
            LogFailed(exception, id, worker);
            return AttemptOutcome.Failed;
        }
    }

    /// <summary>Appends what is ready at once in one call, and waits only when nothing is; the engine moves on meanwhile.</summary>
    private async Task<AttemptOutcome> GenerateAsync(RunningAttempt attempt)
    {
        var (events, assignment) = (attempt.Log, attempt.Assignment);
        events.Add(new RequestEvent.Started(attempt.Number, worker, time.GetUtcNow()));
        await using var outputs = engine.GenerateAsync(assignment.Request, assignment.Output, attempt.Token).GetAsyncEnumerator(attempt.Token);
        while (true)
        {
            var next = outputs.MoveNextAsync();
            bool more;
            if (next.IsCompleted && events.Unwritten < MaxBatchedEvents)
            {
                more = await next;
            }
            else
            {
                var moving = next.AsTask();
                if (await WriteAsync(attempt, moving) is var status and not AppendStatus.Accepted) return Outcome(status);
                more = await moving;
            }

            if (!more) break;
            Add(events, outputs.Current);
            if (events.OutputBytes > maxOutputBytes) return Outcome(await FailTooLargeAsync(attempt));
        }

        return Outcome(await events.FlushAsync(attempt.Token));
    }

    /// <summary>An engine whose output cannot be told must stop, and an enumerator must not be disposed while it moves.</summary>
    private static async ValueTask<AppendStatus> WriteAsync(RunningAttempt attempt, Task moving)
    {
        AppendStatus? status = null;
        try
        {
            status = await attempt.Log.WriteWhileAsync(moving, attempt.Token);
            return status.Value;
        }
        finally
        {
            if (status != AppendStatus.Accepted)
            {
                attempt.Stop(AttemptOutcome.Ended);
                await moving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static AttemptOutcome Outcome(AppendStatus status) => status switch
    {
        AppendStatus.Accepted or AppendStatus.Ended or AppendStatus.TooLarge => AttemptOutcome.Ended,
        AppendStatus.Fenced => AttemptOutcome.Fenced,
        _ => AttemptOutcome.Returned, // the log knows nothing of it any more: whoever holds it begins anew
    };

    private void Add(AttemptLog events, EngineOutput output)
    {
        if (output.Chunk is { } chunk)
        {
            events.Add(new RequestEvent.Chunk([chunk]));
            if (!_sawToken) firstToken();
            _sawToken = true;
        }

        if (output.Usage is { } usage) events.Add(new RequestEvent.Finished(usage));
    }

    /// <summary>All of an output is kept until its log is safe: one without a bound would be the end of everybody's.</summary>
    private async Task<AppendStatus> FailTooLargeAsync(RunningAttempt attempt)
    {
        attempt.Log.Add(LogLimits.TooLarge(maxOutputBytes) with { Usage = Used(attempt) });
        return await attempt.Log.FlushAsync(attempt.Token);
    }

    private static async Task<AttemptOutcome> FailAsync(RunningAttempt attempt, ServingFault fault)
    {
        attempt.Log.Add(new RequestEvent.Failed(fault, Used(attempt)));
        return Outcome(await attempt.Log.FlushAsync(attempt.Token));
    }

    private static TokenUsage? Used(RunningAttempt attempt) => attempt.Log.HasOutput ? new TokenUsage(attempt.Assignment.Request.PromptTokens, attempt.Log.OutputTokens) : null;

    [LoggerMessage(Level = LogLevel.Warning, Message = "The log of request {Request} could not be written by replica {Replica}; another attempt goes on from what it holds.")]
    private partial void LogFailed(Exception exception, RequestId request, string replica);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Request {Request} is not understood by replica {Replica}, whose engine has no '{Endpoint}'; another replica may.")]
    private partial void NotUnderstood(RequestId request, string replica, EndpointName endpoint);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Replica {Replica} lost its engine with request {Request}; another attempt goes on from what is logged.")]
    private partial void EngineLost(Exception exception, RequestId request, string replica);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Request {Request} comes back from the engine of replica {Replica}: {Reason}; another attempt goes on after a pause.")]
    private partial void EngineGaveUp(RequestId request, string replica, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Request {Request} failed on replica {Replica}; its client is told.")]
    private partial void EngineFailed(Exception exception, RequestId request, string replica);
}
