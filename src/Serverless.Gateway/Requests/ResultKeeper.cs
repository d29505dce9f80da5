using Microsoft.Extensions.Logging;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Gateway.Telemetry;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// Keeps what an id promised: reads the end from the log, saves it, and publishes it until that is seen (ADR 13), though not for ever: a result that nobody subscribes to can still be
/// asked for. Each step can be repeated. Thread-safe.
/// </summary>
internal sealed partial class ResultKeeper(RequestRecords records, RecordReader reader, ResultEvents events, GatewayMetrics metrics, TimeProvider time, ILogger<ResultKeeper> logger)
    : IPromiseKeeper, IEndObserver
{
    /// <summary>A result is published so often at most. Each time it is waited for some seconds.</summary>
    private const int MostPublished = 5;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public async ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken) =>
        end.Request.Promise != Promise.Id || await KeepAsync(end.Request, cancellationToken);

    /// <inheritdoc/>
    public async Task<bool> KeepAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(FirstPause, LongestPause);
        for (var published = 0; ;)
        {
            var pause = backoff.Next();
            try
            {
                switch (await TryKeepAsync(request, cancellationToken))
                {
                    case Kept.Yes:
                        return true;
                    case Kept.Lost:
                        return false;
                    case Kept.Unseen when ++published >= MostPublished:
                        metrics.ResultUnseen(request.Endpoint, request.Model.Value);
                        LogUnpublished(request.Id, published);
                        return true;
                    default:
                        break;
                }
            }
            catch (ServingException e)
            {
                LogRetried(request.Id, pause.TotalSeconds, e.Message);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                LogFailed(e, request.Id, pause.TotalSeconds);
            }

            await Task.Delay(pause, time, cancellationToken);
        }
    }

    /// <summary>One step at a time.</summary>
    private async ValueTask<Kept> TryKeepAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        if (await records.FindAsync(request.Owner, request.Id, cancellationToken) is not { } stored)
        {
            await records.CreateAsync(PromisedRequests.RecordOf(request, null, null), cancellationToken); // it is gone, or was never made
            return Kept.NotYet;
        }

        if (!stored.Record.HasEnded)
        {
            var ended = await reader.UpdateAsync(stored.Record, cancellationToken);
            if (ended is null && time.GetUtcNow() >= request.Deadline) ended = reader.Fail(stored.Record, LostFault(request.Id));
            if (ended is not { HasEnded: true })
            {
                LogLost(request.Id);
                return Kept.Lost;
            }

            if (!await records.ReplaceAsync(stored, ended, cancellationToken)) return Kept.NotYet;
            if (await records.FindAsync(request.Owner, request.Id, cancellationToken) is not { } saved) return Kept.NotYet;
            stored = saved;
        }

        return stored.Record.Published || await events.PublishAsync(stored.Record, cancellationToken) ? Kept.Yes : Kept.Unseen;
    }

    private static ServingFault LostFault(RequestId id) =>
        new(ServingError.LogExpired, $"Nothing is kept of the events of request '{id}', so its answer is lost; send it again.");

    [LoggerMessage(LogLevel.Warning, "The request log lost the end of {Request} before it was kept; the request runs again.")]
    private partial void LogLost(RequestId request);

    [LoggerMessage(LogLevel.Warning, "What was promised for {Request} could not be kept yet and is tried again in {Seconds} s: {Reason}")]
    private partial void LogRetried(RequestId request, double seconds, string reason);

    [LoggerMessage(LogLevel.Error, "Keeping what was promised for {Request} failed; it is tried again in {Seconds} s.")]
    private partial void LogFailed(Exception exception, RequestId request, double seconds);

    [LoggerMessage(LogLevel.Error, "The result of {Request} was published {Times} times and never seen on the topic of results, to which this gateway has no subscription then. It is kept and can be asked for by its id; nobody is told of it.")]
    private partial void LogUnpublished(RequestId request, int times);

    private enum Kept
    {
        Yes,
        NotYet,
        Unseen,
        Lost,
    }
}

/// <summary>Counts what requests used, whoever followed them and however they ended.</summary>
internal sealed class UsageObserver(GatewayMetrics metrics) : IEndObserver
{
    /// <inheritdoc/>
    public ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken)
    {
        metrics.Used(end.Request.Endpoint, end.Request.Model.Value, end.Usage);
        return new(true);
    }
}
