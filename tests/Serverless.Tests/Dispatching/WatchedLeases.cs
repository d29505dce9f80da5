using System.Threading.Channels;
using Serverless.Errors;
using Serverless.Leases;

namespace Serverless.Tests.Dispatching;

/// <summary>
/// Leases of one gateway's process over the common ones: their store may be away for this process alone, and the test knows when it looked around and renewed. A clock that a test drives
/// is faster than any thread: without that, leases would run out while their renewals wait for a core.
/// </summary>
internal sealed class WatchedLeases(ILeases leases) : ILeases
{
    // A holder renews every three seconds; the first of them may be counted from a second later.
    private const int RenewedWithin = 5;

    private readonly Channel<bool> _looks = Channel.CreateBounded<bool>(new BoundedChannelOptions(1000) { FullMode = BoundedChannelFullMode.DropOldest });
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _renewed = new(StringComparer.Ordinal);
    private TaskCompletionSource _renewal = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _second;
    private bool _away;

    public bool Away
    {
        get => _away;
        set
        {
            lock (_lock) _renewed.Clear();
            _away = value;
        }
    }

    /// <summary>The store gives and renews, and its answers are lost on the way.</summary>
    public bool Deaf { get; set; }

    /// <summary>A second passes, and the processes have looked around and renewed what they hold.</summary>
    public static async Task TickAsync(TestClock time, params WatchedLeases[] processes)
    {
        await OthersAsync();
        foreach (var process in processes) process.Begin();
        time.Advance(TimeSpan.FromSeconds(1));
        foreach (var process in processes)
        {
            await process._looks.Reader.ReadAsync(TestContext.Current.CancellationToken).WithinLimitAsync();
            await process.RenewedAsync();
        }
    }

    /// <summary>What was held until now may be lost: it is waited for no more.</summary>
    public void Forget()
    {
        lock (_lock) _renewed.Clear();
    }

    /// <summary>A second passes, and the process has begun to look around.</summary>
    public async Task LookAsync(TestClock time)
    {
        await OthersAsync();
        Begin();
        time.Advance(TimeSpan.FromSeconds(1));
        await _looks.Reader.ReadAsync(TestContext.Current.CancellationToken).WithinLimitAsync();
    }

    public async ValueTask<Lease?> AcquireAsync(string name, string holder, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        var lease = await Store().AcquireAsync(name, holder, timeToLive, cancellationToken);
        if (lease is not null) Note(name, held: true);
        return lease;
    }

    public async ValueTask<bool> RenewAsync(Lease lease, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        var held = await Store().RenewAsync(lease, timeToLive, cancellationToken);
        Note(lease.Name, held);
        return held;
    }

    public async ValueTask<IReadOnlyList<Lease>> AcquireAsync(IReadOnlyCollection<string> names, string holder, TimeSpan timeToLive, Lease? under, CancellationToken cancellationToken)
    {
        var got = await Store().AcquireAsync(names, holder, timeToLive, under, cancellationToken);
        foreach (var lease in got.Where(_ => under is null)) Note(lease.Name, held: true); // the others last as long as that one
        Hear();
        return got;
    }

    public async ValueTask<IReadOnlyList<Lease>> RenewAsync(IReadOnlyCollection<Lease> leases, TimeSpan timeToLive, CancellationToken cancellationToken)
    {
        var held = await Store().RenewAsync(leases, timeToLive, cancellationToken);
        foreach (var lease in leases) Note(lease.Name, held.Contains(lease) && lease.Name.StartsWith(LeaseNames.Gateways, StringComparison.Ordinal));
        Hear();
        return held;
    }

    public ValueTask ReleaseAsync(Lease lease, CancellationToken cancellationToken)
    {
        Note(lease.Name, held: false);
        return Store().ReleaseAsync(lease, cancellationToken);
    }

    public ValueTask<Lease?> ReadAsync(string name, CancellationToken cancellationToken) => Store().ReadAsync(name, cancellationToken);

    public ValueTask<IReadOnlyList<Lease>> ListAsync(string prefix, CancellationToken cancellationToken)
    {
        if (prefix == LeaseNames.Gateways) _looks.Writer.TryWrite(true); // what a look asks first: it asks once, whatever it finds
        return Store().ListAsync(prefix, cancellationToken);
    }

    /// <summary>
    /// What others have queued gets its turn before time goes on: a test that ticks in a loop, and the look that answers it, keep a thread to themselves, and on a machine with two of them days pass for whoever waits behind.
    /// </summary>
    private static Task OthersAsync() => Task.Factory.StartNew(() => { }, CancellationToken.None, TaskCreationOptions.PreferFairness, TaskScheduler.Default);

    private void Begin()
    {
        lock (_lock) _second++;
        while (_looks.Reader.TryRead(out _))
        {
        }
    }

    private async Task RenewedAsync()
    {
        while (true)
        {
            Task renewal;
            lock (_lock)
            {
                if (_renewed.Values.All(second => _second - second < RenewedWithin)) return;
                renewal = _renewal.Task;
            }

            await renewal.WithinLimitAsync();
        }
    }

    private void Note(string name, bool held)
    {
        TaskCompletionSource told;
        lock (_lock)
        {
            if (held) _renewed[name] = _second;
            else _renewed.Remove(name);
            (told, _renewal) = (_renewal, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        told.SetResult();
    }

    private void Hear()
    {
        if (Deaf) throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "The test took the answer away."));
    }

    private ILeases Store() => Away ? throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "The test took the leases' store away.")) : leases;
}
