using Microsoft.Extensions.Logging;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Promises;

/// <summary>
/// Keeps what an id promised: reads the end from the log, saves it, publishes it until that is seen. Each step can be repeated and is, until it succeeds. Thread-safe.
/// </summary>
internal sealed partial class RequestKeeper(RequestRecords records, LogReader reader, ResultEvents events, TimeProvider time, ILogger<RequestKeeper> logger) : IPromiseKeeper, IEndObserver
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(10);

    public async ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken) => end.Request.Promise != Promise.Id || await KeepAsync(end.Request, cancellationToken);

    public async Task<bool> KeepAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        for (var delay = FirstDelay; ; delay = delay * 2 < LongestDelay ? delay * 2 : LongestDelay)
        {
            try
            {
                if (await TryKeepAsync(request, cancellationToken) is { } kept) return kept;
            }
            catch (ServingException e)
            {
                LogRetried(request.Id, delay.TotalSeconds, e.Message);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                LogFailed(e, request.Id, delay.TotalSeconds);
            }

            await Task.Delay(delay, time, cancellationToken);
        }
    }

    /// <summary>One step at a time; null: come again a little later.</summary>
    private async ValueTask<bool?> TryKeepAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        if (await records.FindAsync(request.Owner, request.Id, cancellationToken) is not { } stored)
        {
            await records.CreateAsync(Promiser.RecordOf(request, null, null), cancellationToken); // it is gone, or was never made
            return null;
        }

        if (!stored.Record.HasEnded)
        {
            var ended = await reader.UpdateAsync(stored.Record, cancellationToken);
            if (ended is null && time.GetUtcNow() >= request.Deadline) ended = reader.Fail(stored.Record, LostFault(request.Id));
            if (ended is not { HasEnded: true })
            {
                LogLost(request.Id);
                return false;
            }

            if (!await records.ReplaceAsync(stored, ended, cancellationToken)) return null;
            if (await records.FindAsync(request.Owner, request.Id, cancellationToken) is not { } saved) return null;
            stored = saved;
        }

        return stored.Record.Published || await events.PublishAsync(stored.Record, cancellationToken) ? true : null;
    }

    private static ServingFault LostFault(RequestId id) =>
        new(ServingError.LogExpired, $"Nothing is kept of the events of request '{id}', so its answer is lost; send it again.");

    [LoggerMessage(LogLevel.Warning, "The request log lost the end of {Request} before it was kept; the request runs again.")]
    private partial void LogLost(RequestId request);

    [LoggerMessage(LogLevel.Warning, "What was promised for {Request} could not be kept yet and is tried again in {Seconds} s: {Reason}")]
    private partial void LogRetried(RequestId request, double seconds, string reason);

    [LoggerMessage(LogLevel.Error, "Keeping what was promised for {Request} failed; it is tried again in {Seconds} s.")]
    private partial void LogFailed(Exception exception, RequestId request, double seconds);
}
