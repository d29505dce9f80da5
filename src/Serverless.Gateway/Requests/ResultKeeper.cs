using System.Globalization;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Gateway.Telemetry;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// Keeps what an id promised: reads the end from the log, saves it, and publishes it until that is seen (ADR 13), though not for ever: a result that nobody subscribes to can still be
/// asked for. A result that the store refuses, though it takes others, ends as a failure that says so, and an event that the bus refuses, though it takes others, goes without its response:
/// a store or bus that is away, or too busy to answer, proves nothing. Each step can be repeated. Thread-safe.
/// </summary>
internal sealed partial class ResultKeeper(RequestRecords records, RecordReader reader, ResultEvents events, GatewayMetrics metrics, TimeProvider time, ILogger<ResultKeeper> logger)
    : IEndObserver
{
    /// <summary>A result is published so often at most. Each time it is waited for some seconds.</summary>
    private const int MostPublished = 5;

    /// <summary>So often one result is refused by what took something else at the same time, before that is the result's own fault: half a minute.</summary>
    private const int MostRefused = 8;

    /// <summary>No store or bus refuses so little for its size.</summary>
    private const int Little = 64 * 1024;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public async ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken) =>
        end.Request.Promise != Promise.Id || await KeepAsync(end.Request, cancellationToken);

    /// <summary>Of a request that an id promises.</summary>
    public async Task<bool> KeepAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(FirstPause, LongestPause);
        var tries = new Tries();
        for (var published = 0; ;)
        {
            var pause = backoff.Next();
            try
            {
                switch (await TryKeepAsync(request, tries, cancellationToken))
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
            catch (ServingException e) when (e.Fault.Error == ServingError.OutputTooLarge)
            {
                LogUnkept(e, request.Id); // what is there cannot be read, or not even its failure saved: not by trying either
                return true;
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
    private async ValueTask<Kept> TryKeepAsync(InferenceRequest request, Tries tries, CancellationToken cancellationToken)
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

            if (!await TrySaveAsync(stored, ended, tries, cancellationToken)) return Kept.NotYet;
            if (await records.FindAsync(request.Owner, request.Id, cancellationToken) is not { } saved) return Kept.NotYet;
            stored = saved;
        }

        return stored.Record.Published || await TryPublishAsync(stored.Record, tries, cancellationToken) ? Kept.Yes : Kept.Unseen;
    }

    /// <summary>Saves the end, or, where that cannot be, that it cannot. False: somebody else wrote meanwhile.</summary>
    private async ValueTask<bool> TrySaveAsync(StoredRecord stored, RequestRecord ended, Tries tries, CancellationToken cancellationToken)
    {
        try
        {
            return await records.ReplaceAsync(stored, ended, cancellationToken);
        }
        catch (ServingException e) when (e.Fault.Error == ServingError.OutputTooLarge)
        {
            return await SaveRefusedAsync(stored, e.Fault, ended.EndedAt, cancellationToken);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested && IsAnswer(e) && RequestRecords.SizeOf(ended) is var bytes && bytes > Little)
        {
            // The store may be away, or refuse this result alone and not say so. Each time it refuses this and then takes what is there already, it is more likely the result.
            var before = tries.Saves;
            tries.Saves = 0; // where it takes nothing
            if (!await records.ReplaceAsync(stored, stored.Record, cancellationToken)) return false;

            tries.Saves = before + 1;
            if (tries.Saves < MostRefused) throw;
            if (await records.FindAsync(stored.Record.Owner, new RequestId(stored.Record.Id), cancellationToken) is not { } again) return false;

            var why = string.Create(CultureInfo.InvariantCulture, $"the document store, which takes others, refused it {tries.Saves} times ({e.Message})");
            return await SaveRefusedAsync(again, RequestRecords.TooLarge(stored.Record.Id, bytes, why), ended.EndedAt, cancellationToken);
        }
    }

    /// <summary>Whoever does not answer in time refuses nothing.</summary>
    private static bool IsAnswer(Exception exception) => exception is not (TimeoutException or OperationCanceledException) && exception.InnerException is not TimeoutException;

    private ValueTask<bool> SaveRefusedAsync(StoredRecord stored, ServingFault fault, DateTimeOffset? at, CancellationToken cancellationToken)
    {
        LogRefused(stored.Record.Id, fault.Message);
        return records.ReplaceAsync(stored, reader.Fail(stored.Record, fault, at), cancellationToken);
    }

    private async ValueTask<bool> TryPublishAsync(RequestRecord ended, Tries tries, CancellationToken cancellationToken)
    {
        var taken = events.Taken;
        try
        {
            return await events.PublishAsync(ended, cancellationToken, withResponse: tries.Publishes < MostRefused);
        }
        catch (ServingException e) when (ended.Response is not null)
        {
            // A bus that is away refuses all; one that refuses this event alone, and takes others between two tries of it, takes it without its response.
            if (e.Fault.Error == ServingError.OutputTooLarge) tries.Publishes = MostRefused;
            else if (IsAnswer(e) && tries.Taken is { } before && before < taken && RequestRecords.SizeOf(ended) > Little) tries.Publishes++;
            tries.Taken = taken;
            throw new ServingException(e.Fault with { Error = ServingError.StoreUnavailable }, e);
        }
    }

    private static ServingFault LostFault(RequestId id) =>
        new(ServingError.LogExpired, $"Nothing is kept of the events of request '{id}', so its answer is lost; send it again.");

    [LoggerMessage(LogLevel.Error, "{Request} was promised a result that cannot be kept; it is told so in its place: {Reason}")]
    private partial void LogRefused(string request, string reason);

    [LoggerMessage(LogLevel.Error, "What is kept of {Request} is larger than is read or written; it is not tried again.")]
    private partial void LogUnkept(Exception exception, RequestId request);

    [LoggerMessage(LogLevel.Warning, "The request log lost the end of {Request} before it was kept; the request runs again.")]
    private partial void LogLost(RequestId request);

    [LoggerMessage(LogLevel.Warning, "What was promised for {Request} could not be kept yet and is tried again in {Seconds} s: {Reason}")]
    private partial void LogRetried(RequestId request, double seconds, string reason);

    [LoggerMessage(LogLevel.Error, "Keeping what was promised for {Request} failed; it is tried again in {Seconds} s.")]
    private partial void LogFailed(Exception exception, RequestId request, double seconds);

    [LoggerMessage(LogLevel.Error, "The result of {Request} was published {Times} times and never seen on the topic of results, to which this gateway has no subscription then. It is kept and can be asked for by its id; nobody is told of it.")]
    private partial void LogUnpublished(RequestId request, int times);

    /// <summary>What one result was refused so far.</summary>
    private sealed class Tries
    {
        public int Saves { get; set; }

        public int Publishes { get; set; }

        /// <summary>What the bus had taken of others before it refused this one last; null: it has not yet.</summary>
        public long? Taken { get; set; }
    }

    private enum Kept
    {
        Yes,
        NotYet,
        Unseen,
        Lost,
    }
}

/// <summary>Counts what requests used, whoever followed them and however they ended. An end may be told again, where a message came twice; it counts once. Thread-safe.</summary>
internal sealed class UsageObserver(GatewayMetrics metrics) : IEndObserver
{
    /// <summary>What is told again is so soon after: of so many ends before it is known.</summary>
    private const int MostKnown = 16 * 1024;

    private readonly Lock _lock = new();
    private readonly HashSet<RequestId> _known = [];
    private readonly Queue<RequestId> _order = new();

    /// <inheritdoc/>
    public ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken)
    {
        if (IsNews(end.Request.Id)) metrics.Used(end.Request.Endpoint, end.Request.Model.Value, end.Usage);
        return new(true);
    }

    private bool IsNews(RequestId id)
    {
        lock (_lock)
        {
            if (!_known.Add(id)) return false;

            _order.Enqueue(id);
            if (_order.Count > MostKnown) _known.Remove(_order.Dequeue());
            return true;
        }
    }
}
