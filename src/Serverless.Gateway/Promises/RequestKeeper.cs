using Microsoft.Extensions.Logging;
using Serverless.Dispatching;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Promises;

/// <summary>
/// Keeps what an id promised: reads the end from the log, saves it, publishes it, notes that. Each step can be repeated and is, until it succeeds. Thread-safe.
/// </summary>
internal sealed partial class RequestKeeper(RequestRecords records, LogReader reader, ResultEvents events, TimeProvider time, ILogger<RequestKeeper> logger) : IPromiseKeeper
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(10);

    public async Task KeepAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        for (var delay = FirstDelay; ; delay = delay * 2 < LongestDelay ? delay * 2 : LongestDelay)
        {
            try
            {
                if (await TryKeepAsync(request, cancellationToken)) return;
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

    /// <summary>One step at a time; false: come again at once or a little later.</summary>
    private async ValueTask<bool> TryKeepAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        if (await records.FindAsync(request.Owner, request.Id, cancellationToken) is not { } stored)
        {
            await records.CreateAsync(Promiser.RecordOf(request, null, null), cancellationToken); // it is gone, or was never made
            return false;
        }

        if (!stored.Record.HasEnded)
        {
            var ended = await reader.UpdateAsync(stored.Record, cancellationToken) ?? reader.Fail(stored.Record, LostFault(request.Id));
            if (!ended.HasEnded) return false; // the caller was early

            if (!await records.ReplaceAsync(stored, ended, cancellationToken)) return false;
            if (await records.FindAsync(request.Owner, request.Id, cancellationToken) is not { } saved) return false;
            stored = saved;
        }

        if (stored.Record.Published) return true;

        await events.PublishAsync(stored.Record, cancellationToken);
        return await records.ReplaceAsync(stored, stored.Record with { Published = true }, cancellationToken);
    }

    private static ServingFault LostFault(RequestId id) =>
        new(ServingError.LogExpired, $"Nothing is kept of the events of request '{id}', so its answer is lost; send it again.");

    [LoggerMessage(LogLevel.Warning, "What was promised for {Request} could not be kept yet and is tried again in {Seconds} s: {Reason}")]
    private partial void LogRetried(RequestId request, double seconds, string reason);

    [LoggerMessage(LogLevel.Error, "Keeping what was promised for {Request} failed; it is tried again in {Seconds} s.")]
    private partial void LogFailed(Exception exception, RequestId request, double seconds);
}
