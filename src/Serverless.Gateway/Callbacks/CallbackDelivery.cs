using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Loops;

namespace Serverless.Gateway.Callbacks;

/// <summary>
/// Makes callbacks that are due: at once what ended here, and every ten seconds what is left of any gateway, which alone costs a look at all of them. An organization whose receiver is slow holds up none but itself. Thread-safe.
/// </summary>
internal sealed partial class CallbackDelivery(CallbackOutbox outbox, CallbackCaller caller, CallbackPolicy policy, IOptions<CallbackOptions> options, Supervisor supervisor, TimeProvider time, ILogger<CallbackDelivery> logger) : BackgroundService
{
    private const int Page = 1000;

    /// <summary>What a gateway knows the due time of, at most: beyond that they are read again.</summary>
    private const int MostKnown = 100_000;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    /// <summary>A gateway that is lost while it makes one holds it up no longer.</summary>
    private static readonly TimeSpan ClaimFor = TimeSpan.FromMinutes(2);

    private readonly Channel<bool> _due = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly ConcurrentDictionary<string, Task> _running = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> _byOrganization = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _told = [];
    private Dictionary<string, Known> _known = new(StringComparer.Ordinal);
    private int _looks = 1;

    /// <summary>There is something new: it is made at once. Never waits.</summary>
    public void Look(string id)
    {
        if (_told.Count < MostKnown) _told.Enqueue(id);
        Wake();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!policy.IsOn) return;

        await supervisor.RunAsync("callbacks", DeliverAsync, stoppingToken);
        await Task.WhenAll(_running.Values).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task DeliverAsync(CancellationToken stoppingToken)
    {
        await using var timer = time.Aligned().CreateTimer(_ => LookAtAll(), null, Interval, Interval);
        Wake();
        await foreach (var _ in _due.Reader.ReadAllAsync(stoppingToken))
        {
            try
            {
                if (Interlocked.Exchange(ref _looks, 0) != 0) await ReadAsync(stoppingToken);
                await TakeKnownAsync(stoppingToken);
            }
            catch (ServingException)
            {
                // The store is away, which is told elsewhere: it is asked again at the next turn.
            }
        }
    }

    private void Wake() => _due.Writer.TryWrite(true);

    private void LookAtAll()
    {
        Volatile.Write(ref _looks, 1);
        Wake();
    }

    /// <summary>What it was told of, and what it knows to be due.</summary>
    private async Task TakeKnownAsync(CancellationToken cancellationToken)
    {
        while (_told.TryDequeue(out var id)) Note(id, await TakeAsync(id, cancellationToken));
        foreach (var (id, _) in _known.Where(entry => IsToBeTaken(entry.Value)).ToArray()) Note(id, await TakeAsync(id, cancellationToken));
    }

    private void Note(string id, Known known)
    {
        if (known.Organization is null) _known.Remove(id);
        else if (_known.Count < MostKnown) _known[id] = known;
    }

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        var before = _known;
        _known = new Dictionary<string, Known>(StringComparer.Ordinal);
        string? after = null;
        while (await outbox.ListAsync(after, Page, cancellationToken) is { Count: > 0 } ids)
        {
            foreach (var id in ids)
            {
                Note(id, before.TryGetValue(id, out var seen) && !IsToBeTaken(seen) ? seen : await TakeAsync(id, cancellationToken));
            }

            after = ids[^1];
            if (ids.Count < Page) return;
        }
    }

    private bool IsToBeTaken(Known known) => known.DueAt <= time.GetUtcNow() && HasRoom(known.Organization);

    private bool HasRoom(string organization) => _running.Count < options.Value.MaxAtOnce && _byOrganization.GetValueOrDefault(organization) < options.Value.MaxAtOnce / 4;

    /// <summary>Begins with one that is due. What is known of it, where it waits.</summary>
    private async Task<Known> TakeAsync(string id, CancellationToken cancellationToken)
    {
        if (_running.ContainsKey(id) || await outbox.FindAsync(id, cancellationToken) is not { } stored) return default;

        var known = new Known(stored.Due.DueAt, stored.Due.Owner.Organization);
        if (!IsToBeTaken(known)) return known;
        if (await outbox.ClaimAsync(stored, time.GetUtcNow() + ClaimFor, cancellationToken) is not { } claimed) return default;

        _byOrganization.AddOrUpdate(known.Organization, 1, (_, count) => count + 1);
        _running[id] = Task.CompletedTask; // its place first: a call that has ended by then has left it
        _running.TryUpdate(id, CallAsync(claimed, known.Organization, cancellationToken), Task.CompletedTask);
        return default;
    }

    private async Task CallAsync(StoredCallback claimed, string organization, CancellationToken cancellationToken)
    {
        await Task.Yield(); // whoever starts it goes on
        try
        {
            await caller.CallAsync(claimed, cancellationToken);
        }
        catch (ServingException exception)
        {
            LogUnnoted(claimed.Due.RequestId, exception.Message);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            LogFailed(exception, claimed.Due.RequestId);
        }
        catch (OperationCanceledException)
        {
            // This gateway stops: the claim runs out, and another makes it.
        }
        finally
        {
            _byOrganization.AddOrUpdate(organization, 0, (_, count) => count - 1);
            _running.TryRemove(claimed.Due.RequestId, out var _);
            Wake(); // there is room for another
        }
    }

    [LoggerMessage(LogLevel.Warning, "What became of the callback of {Request} could not be noted, so it is made again: {Reason}")]
    private partial void LogUnnoted(string request, string reason);

    [LoggerMessage(LogLevel.Error, "Failed to make the callback of {Request}; it is made again.")]
    private partial void LogFailed(Exception exception, string request);

    /// <summary>What is known of one that waits.</summary>
    /// <param name="DueAt">Not before.</param>
    /// <param name="Organization">Whose it is.</param>
    private readonly record struct Known(DateTimeOffset DueAt, string Organization);
}
