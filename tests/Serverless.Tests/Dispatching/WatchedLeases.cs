using System.Threading.Channels;
using Serverless.Dispatching;
using Serverless.Errors;

namespace Serverless.Tests.Dispatching;

/// <summary>Leases of one gateway's process over the common ones: their store may be away for this process alone, and the test knows when it looked.</summary>
internal sealed class WatchedLeases(ILeases leases) : ILeases
{
    private readonly Channel<bool> _looks = Channel.CreateBounded<bool>(new BoundedChannelOptions(1000) { FullMode = BoundedChannelFullMode.DropOldest });

    public bool Away { get; set; }

    /// <summary>A second passes, and the process has looked around.</summary>
    public static async Task TickAsync(TestClock time, params WatchedLeases[] processes)
    {
        foreach (var process in processes) process.Forget();
        time.Advance(TimeSpan.FromSeconds(1));
        foreach (var process in processes) await process._looks.Reader.ReadAsync(TestContext.Current.CancellationToken).WithinLimitAsync();
    }

    public ValueTask<Lease?> AcquireAsync(string name, string holder, TimeSpan timeToLive, CancellationToken cancellationToken) => Store().AcquireAsync(name, holder, timeToLive, cancellationToken);

    public ValueTask<bool> RenewAsync(Lease lease, TimeSpan timeToLive, CancellationToken cancellationToken) => Store().RenewAsync(lease, timeToLive, cancellationToken);

    public ValueTask ReleaseAsync(Lease lease, CancellationToken cancellationToken) => Store().ReleaseAsync(lease, cancellationToken);

    public ValueTask<Lease?> ReadAsync(string name, CancellationToken cancellationToken) => Store().ReadAsync(name, cancellationToken);

    public ValueTask<IReadOnlyList<Lease>> ListAsync(string prefix, CancellationToken cancellationToken)
    {
        _looks.Writer.TryWrite(true);
        return Store().ListAsync(prefix, cancellationToken);
    }

    private void Forget()
    {
        while (_looks.Reader.TryRead(out _))
        {
        }
    }

    private ILeases Store() => Away ? throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "The test took the leases' store away.")) : leases;
}
