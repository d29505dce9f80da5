using Serverless.Errors;
using Serverless.Leases;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>F2: leases that are renewed together, and lost with whatever renews them.</summary>
public sealed class LeaseKeeperTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_renewed_stays_and_what_another_took_is_lost_at_the_next_renewal()
    {
        await using var world = new World();
        var kept = await world.Keeper.AcquireAsync(["a", "b"]);
        await world.Store.ReleaseAsync(kept.Single(lease => lease.Lease.Name == "b").Lease, Token);
        await world.Store.AcquireAsync("b", "another", TimeSpan.FromDays(1), Token);

        await world.PassAsync(20);

        kept.Single(lease => lease.Lease.Name == "a").Lost.IsCancellationRequested.ShouldBeFalse();
        kept.Single(lease => lease.Lease.Name == "b").Lost.IsCancellationRequested.ShouldBeTrue();
    }

    [Theory]
    [InlineData(typeof(InvalidOperationException))]
    [InlineData(typeof(ServingException))]
    [InlineData(typeof(OperationCanceledException))]
    public async Task While_the_store_fails_they_run_out_here_no_later_than_there_and_afterwards_they_are_kept_again(Type kind)
    {
        await using var world = new World();
        world.Faults.What = kind == typeof(ServingException) ? new ServingException(new ServingFault(ServingError.Internal, "NOPERM")) : (Exception)Activator.CreateInstance(kind)!;
        var kept = (await world.Keeper.AcquireAsync(["a"])).Single();
        world.Faults.Method = "ILeases.RenewAsync";

        await world.PassAsync(9);
        await world.PassAsync(3, renewing: false);

        kept.Lost.IsCancellationRequested.ShouldBeTrue();
        (await world.Store.ReadAsync("a", Token)).ShouldBeNull();
        world.Loops.Failures.ShouldNotBeEmpty();
        world.Faults.Method = null;
        await kept.DisposeAsync();
        var again = (await world.Keeper.AcquireAsync(["a"])).Single();
        await world.PassAsync(20);
        again.Lost.IsCancellationRequested.ShouldBeFalse();
    }

    [Fact]
    public async Task One_that_is_given_back_is_free_at_once_and_one_that_cannot_be_given_back_bothers_nobody()
    {
        await using var world = new World();
        var kept = await world.Keeper.AcquireAsync(["a", "b"]);

        await kept.Single(lease => lease.Lease.Name == "a").DisposeAsync();
        world.Faults.Method = "ILeases.ReleaseAsync";
        await kept.Single(lease => lease.Lease.Name == "b").DisposeAsync();
        await world.PassAsync(12, renewing: false);

        (await world.Store.ListAsync("", Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task What_is_under_another_is_seldom_renewed_and_lost_with_it_at_once()
    {
        await using var world = new World();
        var own = (await world.Keeper.AcquireAsync(["own"])).Single();
        var kept = await world.Keeper.AcquireAsync(["a", "b"], own);
        var before = world.Faults.Called(nameof(ILeases));

        await world.PassAsync(60);
        var renewals = world.Faults.Called(nameof(ILeases)) - before;
        kept.ShouldAllBe(lease => !lease.Lost.IsCancellationRequested);
        await world.Store.ReleaseAsync(own.Lease, Token);
        (await world.Store.AcquireAsync("a", "another", TimeSpan.FromDays(1), Token)).ShouldNotBeNull();
        await world.PassAsync(3);

        renewals.ShouldBe(20 + 2, "that one each three seconds, those two together each twenty");
        foreach (var lease in kept.Append(own)) await LostAsync(lease);
        foreach (var lease in kept) await lease.DisposeAsync();
        (await world.Store.ReadAsync("a", Token)).ShouldNotBeNull().Holder.ShouldBe("another");
    }

    [Fact]
    public async Task A_store_that_was_away_is_asked_at_once_what_it_has_forgotten()
    {
        await using var world = new World();
        var own = (await world.Keeper.AcquireAsync(["own"])).Single();
        var kept = await world.Keeper.AcquireAsync(["a", "b"], own);
        await world.Store.ReleaseAsync(kept.Single(lease => lease.Lease.Name == "b").Lease, Token);
        world.Faults.Method = "ILeases.RenewAsync";
        await world.PassAsync(3);
        world.Faults.Method = null;

        await world.PassAsync(3);

        await LostAsync(kept.Single(lease => lease.Lease.Name == "b"));
        kept.Single(lease => lease.Lease.Name == "a").Lost.IsCancellationRequested.ShouldBeFalse();
    }

    private static async Task LostAsync(KeptLease kept)
    {
        var lost = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var told = kept.Lost.Register(lost.SetResult);
        await lost.Task.WithinLimitAsync();
    }

    private sealed class World : IAsyncDisposable
    {
        private readonly TestClock _time = new();
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _running;

        public World()
        {
            Store = new MemoryLeases(_time);
            Keeper = new LeaseKeeper(FaultyPort<ILeases>.Of(Store, Faults), "holder", _time, Loops);
            _running = Keeper.RunAsync(_stop.Token);
        }

        public Faults Faults { get; } = new();

        public RecordingLoops Loops { get; } = new();

        public MemoryLeases Store { get; }

        public LeaseKeeper Keeper { get; }

        /// <summary>Seconds pass; every third the leases are renewed, and that is waited for.</summary>
        /// <param name="seconds">How many.</param>
        /// <param name="renewing">Whether there is anything to renew.</param>
        public async Task PassAsync(int seconds, bool renewing = true)
        {
            for (; seconds > 0; seconds--)
            {
                var renewal = Faults.NextCall;
                _time.Advance(TimeSpan.FromSeconds(1));
                if (_time.GetUtcNow().Second % 3 == 0 && renewing) await renewal.WithinLimitAsync();
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running.WaitAsync(Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _stop.Dispose();
        }
    }
}
