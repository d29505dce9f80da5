using System.Collections.Concurrent;
using Serverless.Leases;

namespace Serverless.Tests.Dispatching;

/// <summary>A store that grants leases at once and, for names of a prefix, answers late. As with any store over a network, whoever cancels does not take back what was asked.</summary>
internal sealed class SlowLeases(ILeases leases, string prefix) : ILeases
{
    private readonly TaskCompletionSource _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _granted = new(StringComparer.Ordinal);

    /// <summary>The store has granted it; nobody knows yet.</summary>
    public Task GrantedAsync(string name) => Of(name).Task.WithinLimitAsync();

    public void Answer() => _answer.TrySetResult();

    public async ValueTask<Lease?> AcquireAsync(string name, string holder, TimeSpan timeToLive, CancellationToken cancellationToken) => (await AcquireAsync([name], holder, timeToLive, null, cancellationToken)).SingleOrDefault();

    public async ValueTask<IReadOnlyList<Lease>> AcquireAsync(IReadOnlyCollection<string> names, string holder, TimeSpan timeToLive, Lease? under, CancellationToken cancellationToken)
    {
        var got = await leases.AcquireAsync(names, holder, timeToLive, under, CancellationToken.None);
        foreach (var lease in got) Of(lease.Name).TrySetResult();
        if (names.Any(name => name.StartsWith(prefix, StringComparison.Ordinal))) await _answer.Task.WaitAsync(cancellationToken);
        return got;
    }

    public ValueTask<bool> RenewAsync(Lease lease, TimeSpan timeToLive, CancellationToken cancellationToken) => leases.RenewAsync(lease, timeToLive, cancellationToken);

    public ValueTask<IReadOnlyList<Lease>> RenewAsync(IReadOnlyCollection<Lease> held, TimeSpan timeToLive, CancellationToken cancellationToken) => leases.RenewAsync(held, timeToLive, cancellationToken);

    public ValueTask ReleaseAsync(Lease lease, CancellationToken cancellationToken) => leases.ReleaseAsync(lease, cancellationToken);

    public ValueTask<Lease?> ReadAsync(string name, CancellationToken cancellationToken) => leases.ReadAsync(name, cancellationToken);

    public ValueTask<IReadOnlyList<Lease>> ListAsync(string prefix, CancellationToken cancellationToken) => leases.ListAsync(prefix, cancellationToken);

    private TaskCompletionSource Of(string name) => _granted.GetOrAdd(name, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
}
