using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Requests;

namespace Serverless.Gateway.Holding;

/// <summary>
/// The requests that connections to this gateway hold. When the last of a request's connections has gone it runs on for its grace, and is then ended, unless another gateway
/// has taken it over. Thread-safe.
/// </summary>
internal sealed partial class Holds(IRequestLog log, GatewayIdentity gateway, TimeProvider time, ILogger<Holds> logger) : IHostedService, IDisposable
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);
    private static readonly RequestEvent ClientGone = new RequestEvent.Cancelled("The client went away.");

    private readonly Lock _lock = new();
    private readonly Dictionary<RequestId, Hold> _holds = [];
    private readonly HashSet<Task> _ending = [];
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Requests held now, those in their grace among them.</summary>
    public int Count
    {
        get
        {
            lock (_lock) return _holds.Count;
        }
    }

    /// <summary>A connection has the request; each take is answered by one <see cref="LetGo"/> or <see cref="Drop"/>.</summary>
    /// <param name="id">The request.</param>
    /// <param name="from">The gateway that held it for a client of its own, which may still be there: it gets the request back; or null.</param>
    public void Take(RequestId id, string? from = null)
    {
        CancellationTokenSource? grace;
        lock (_lock)
        {
            if (!_holds.TryGetValue(id, out var hold)) _holds[id] = hold = new Hold();
            hold.Connections++;
            if (from is { Length: > 0 } && from != gateway.Instance) hold.From ??= from;
            (grace, hold.Grace) = (hold.Grace, null);
        }

        grace?.Cancel();
    }

    /// <summary>The connection is done with it: it has ended, or is promised by an id, or is left to the client to take up elsewhere.</summary>
    public void Drop(RequestId id)
    {
        lock (_lock)
        {
            if (_holds.TryGetValue(id, out var hold) && --hold.Connections == 0) _holds.Remove(id);
        }
    }

    /// <summary>The client has gone: if it was the request's last one, the request ends after <paramref name="grace"/>, or at its deadline by others.</summary>
    public void LetGo(RequestId id, TimeSpan grace, DateTimeOffset deadline)
    {
        lock (_lock)
        {
            if (!_holds.TryGetValue(id, out var hold) || --hold.Connections > 0) return;

            hold.Grace = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
            var ending = EndAsync(id, hold, grace, deadline, hold.Grace);
            if (ending.IsCompleted) return;
            _ending.Add(ending);
            _ = ending.ContinueWith(done => Forget(done), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>What is in its grace is left to its client and the next gateway: this one's lease runs out.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        Task[] ending;
        lock (_lock) ending = [.. _ending];
        await Task.WhenAll(ending).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose() => _stopping.Dispose();

    private void Forget(Task ending)
    {
        lock (_lock) _ending.Remove(ending);
    }

    private async Task EndAsync(RequestId id, Hold hold, TimeSpan grace, DateTimeOffset deadline, CancellationTokenSource returned)
    {
        try
        {
            if (grace > TimeSpan.Zero) await Task.Delay(grace, time, returned.Token);
            else await Task.Yield();

            while (IsLeft(hold) && !await TryLapseAsync(id, hold.From, returned.Token) && time.GetUtcNow() < deadline) await Task.Delay(RetryDelay, time, returned.Token);
        }
        catch (OperationCanceledException) when (returned.IsCancellationRequested)
        {
            // Its client is back, or this process ends.
        }
        finally
        {
            Close(id, hold, returned);
        }
    }

    private bool IsLeft(Hold hold)
    {
        lock (_lock) return hold.Connections == 0;
    }

    private void Close(RequestId id, Hold hold, CancellationTokenSource returned)
    {
        lock (_lock)
        {
            if (hold.Grace == returned) hold.Grace = null;
            if (hold is { Connections: 0, Grace: null } && _holds.GetValueOrDefault(id) == hold) _holds.Remove(id);
            // Whoever took it out of the hold is about to cancel it: there is no timer in it that would have to be disposed.
            if (hold.Connections == 0) returned.Dispose();
        }
    }

    private async Task<bool> TryLapseAsync(RequestId id, string? from, CancellationToken cancellationToken)
    {
        try
        {
            if (from is not null && (await log.ReadHeadAsync(id, cancellationToken))?.Holder == gateway.Instance)
            {
                await log.HoldAsync(id, Promise.Connection, from, cancellationToken);
                LogElsewhere(id, from);
                return true;
            }

            var lapsed = await log.LapseAsync(id, gateway.Instance, ClientGone, cancellationToken);
            if (lapsed.Holder is { } holder) LogElsewhere(id, holder);
            return true;
        }
        catch (ServingException e) when (e.Fault.Error == ServingError.StoreUnavailable)
        {
            LogNotEnded(id, e.Message);
            return false;
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            LogFailed(e, id);
            return true;
        }
    }

    [LoggerMessage(LogLevel.Debug, "The client of {Request} has gone; it runs on, held by '{Holder}'.")]
    private partial void LogElsewhere(RequestId request, string holder);

    [LoggerMessage(LogLevel.Warning, "The client of {Request} has gone, but its log cannot be told; it is tried again until its deadline: {Reason}")]
    private partial void LogNotEnded(RequestId request, string reason);

    [LoggerMessage(LogLevel.Error, "The client of {Request} has gone, but its log failed; it runs on to its deadline.")]
    private partial void LogFailed(Exception exception, RequestId request);

    private sealed class Hold
    {
        public int Connections { get; set; }

        /// <summary>Whom it was taken from while its client was there.</summary>
        public string? From { get; set; }

        /// <summary>Cancelled when a client is back; null while there is one.</summary>
        public CancellationTokenSource? Grace { get; set; }
    }
}
