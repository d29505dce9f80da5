using Serverless.Leases;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="ILeases"/> does: one holder at a time, and epochs that only rise. Time passes where the adapter keeps it.</summary>
public abstract class LeasesContract
{
    protected static readonly TimeSpan TimeToLive = TimeSpan.FromMinutes(10);

    private readonly string _prefix = $"test-{Guid.NewGuid():n}/";

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    private string Name => _prefix + "one";

    /// <summary>The leases. The subclass disposes of them.</summary>
    protected abstract ValueTask<ILeases> CreateAsync();

    /// <summary>Lets this lease run out.</summary>
    protected abstract ValueTask RunOutAsync(Lease lease);

    [Fact]
    public async Task A_lease_has_one_holder()
    {
        var leases = await CreateAsync();

        var lease = (await leases.AcquireAsync(Name, "a", TimeToLive, Token)).ShouldNotBeNull();

        (lease.Name, lease.Holder).ShouldBe((Name, "a"));
        lease.Epoch.ShouldBeGreaterThan(0);
        (await leases.AcquireAsync(Name, "b", TimeToLive, Token)).ShouldBeNull();
        (await leases.ReadAsync(Name, Token)).ShouldBe(lease);
    }

    [Fact]
    public async Task Its_holder_acquires_it_again_with_the_same_epoch()
    {
        var leases = await CreateAsync();
        var lease = await leases.AcquireAsync(Name, "a", TimeToLive, Token);

        (await leases.AcquireAsync(Name, "a", TimeToLive, Token)).ShouldBe(lease);
    }

    [Fact]
    public async Task Of_many_who_race_one_gets_it()
    {
        var leases = await CreateAsync();

        var got = await Task.WhenAll(Enumerable.Range(0, 32).Select(i => Task.Run(async () => await leases.AcquireAsync(Name, $"holder-{i}", TimeToLive, Token), Token)));

        got.Count(lease => lease is not null).ShouldBe(1);
        (await leases.ReadAsync(Name, Token)).ShouldBe(got.Single(lease => lease is not null));
    }

    [Fact]
    public async Task A_lease_given_back_is_free_at_once_and_its_next_epoch_higher()
    {
        var leases = await CreateAsync();
        var first = (await leases.AcquireAsync(Name, "a", TimeToLive, Token)).ShouldNotBeNull();

        await leases.ReleaseAsync(first, Token);

        (await leases.ReadAsync(Name, Token)).ShouldBeNull();
        (await leases.RenewAsync(first, TimeToLive, Token)).ShouldBeFalse();
        (await leases.AcquireAsync(Name, "a", TimeToLive, Token)).ShouldNotBeNull().Epoch.ShouldBeGreaterThan(first.Epoch);
    }

    [Fact]
    public async Task A_lease_that_ran_out_is_anothers_and_its_old_holder_can_do_nothing_to_it()
    {
        var leases = await CreateAsync();
        var first = (await leases.AcquireAsync(Name, "a", TimeToLive, Token)).ShouldNotBeNull();
        (await leases.RenewAsync(first, TimeToLive, Token)).ShouldBeTrue();

        await RunOutAsync(first);

        (await leases.ReadAsync(Name, Token)).ShouldBeNull();
        (await leases.RenewAsync(first, TimeToLive, Token)).ShouldBeFalse();
        var second = (await leases.AcquireAsync(Name, "b", TimeToLive, Token)).ShouldNotBeNull();
        second.Epoch.ShouldBeGreaterThan(first.Epoch);
        (await leases.RenewAsync(first, TimeToLive, Token)).ShouldBeFalse();
        await leases.ReleaseAsync(first, Token);
        (await leases.ReadAsync(Name, Token)).ShouldBe(second);
    }

    [Fact]
    public async Task Take_overs_in_quick_succession_have_rising_epochs()
    {
        var leases = await CreateAsync();
        var last = 0L;
        for (var i = 0; i < 20; i++)
        {
            var lease = (await leases.AcquireAsync(Name, $"holder-{i}", TimeToLive, Token)).ShouldNotBeNull();
            lease.Epoch.ShouldBeGreaterThan(last);
            last = lease.Epoch;
            await leases.ReleaseAsync(lease, Token);
        }
    }

    [Fact]
    public async Task Those_held_are_listed_by_prefix_in_the_order_of_their_names()
    {
        var leases = await CreateAsync();
        foreach (var name in new[] { "b/ü", "a", "b/x", "c", "b" }) await leases.AcquireAsync(_prefix + name, $"holder of {name}", TimeToLive, Token);
        var gone = (await leases.AcquireAsync(_prefix + "b/gone", "z", TimeToLive, Token)).ShouldNotBeNull();
        await leases.ReleaseAsync(gone, Token);

        (await leases.ListAsync(_prefix + "b/", Token)).Select(lease => (lease.Name, lease.Holder)).ShouldBe([(_prefix + "b/x", "holder of b/x"), (_prefix + "b/ü", "holder of b/ü")]);
        (await leases.ListAsync(_prefix, Token)).Count.ShouldBe(5);
        (await leases.ListAsync(_prefix + "nothing", Token)).ShouldBeEmpty();

        var listed = (await leases.ListAsync(_prefix + "b/x", Token)).Single();
        (await leases.RenewAsync(listed, TimeToLive, Token)).ShouldBeTrue();
        await RunOutAsync(listed);
        (await leases.ListAsync(_prefix + "b/x", Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Many_are_acquired_at_once_but_for_those_that_another_has()
    {
        var leases = await CreateAsync();
        var anothers = await leases.AcquireAsync(_prefix + "7", "b", TimeToLive, Token);
        string[] names = [.. Enumerable.Range(0, 300).Select(number => $"{_prefix}{number}")];

        var got = await leases.AcquireAsync(names, "a", TimeToLive, null, Token);

        got.Select(lease => lease.Name).ShouldBe(names.Where(name => name != anothers!.Name), ignoreOrder: true);
        got.ShouldAllBe(lease => lease.Holder == "a" && lease.Epoch > 0);
        (await leases.ReadAsync(names[299], Token)).ShouldBe(got.Single(lease => lease.Name == names[299]));
        (await leases.ReadAsync(names[7], Token)).ShouldBe(anothers);
        (await leases.AcquireAsync(names, "a", TimeToLive, null, Token)).ShouldBe(got, ignoreOrder: true);
        (await leases.AcquireAsync([], "a", TimeToLive, null, Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Many_are_renewed_at_once_but_for_those_that_ran_out_or_are_anothers()
    {
        var leases = await CreateAsync();
        var got = await leases.AcquireAsync([.. Enumerable.Range(0, 300).Select(number => $"{_prefix}{number}")], "a", TimeToLive, null, Token);
        var (released, taken) = (got[3], got[200]);
        await leases.ReleaseAsync(released, Token);
        await leases.ReleaseAsync(taken, Token);
        await leases.AcquireAsync(taken.Name, "b", TimeToLive, Token);

        (await leases.RenewAsync(got, TimeToLive, Token)).ShouldBe(got.Where(lease => lease != released && lease != taken), ignoreOrder: true);
        (await leases.RenewAsync([], TimeToLive, Token)).ShouldBeEmpty();
        (await leases.ReadAsync(released.Name, Token)).ShouldBeNull();
    }

    [Theory]
    [InlineData("runs out")]
    [InlineData("is given back")]
    [InlineData("is taken anew")]
    public async Task One_under_another_is_free_once_that_is_not_held_any_more(string what)
    {
        var leases = await CreateAsync();
        var guard = (await leases.AcquireAsync(_prefix + "guard", "a", TimeToLive, Token)).ShouldNotBeNull();
        var got = await leases.AcquireAsync([_prefix + "x", _prefix + "y"], "a", TimeToLive, guard, Token);
        got.Count.ShouldBe(2);
        (await leases.RenewAsync(got, TimeToLive, Token)).Count.ShouldBe(2);
        (await leases.AcquireAsync([_prefix + "x"], "b", TimeToLive, null, Token)).ShouldBeEmpty();
        (await leases.AcquireAsync([_prefix + "x"], "a", TimeToLive, guard, Token)).ShouldBe([got.Single(lease => lease.Name == _prefix + "x")]);

        var other = (await leases.AcquireAsync(_prefix + "other", "a", TimeToLive, Token)).ShouldNotBeNull();
        (await leases.AcquireAsync([_prefix + "x"], "a", TimeToLive, other, Token)).ShouldBeEmpty("it is the holder's under the first");
        await leases.ReleaseAsync(other, Token);

        if (what == "runs out") await RunOutAsync(guard);
        else await leases.ReleaseAsync(guard, Token);
        if (what == "is taken anew") guard = (await leases.AcquireAsync(_prefix + "guard", "a", TimeToLive, Token)).ShouldNotBeNull();

        (await leases.ReadAsync(_prefix + "x", Token)).ShouldBeNull();
        (await leases.RenewAsync(got, TimeToLive, Token)).ShouldBeEmpty();
        (await leases.ListAsync(_prefix, Token)).Select(lease => lease.Name).ShouldBe(what == "is taken anew" ? [guard.Name] : []);
        (await leases.AcquireAsync([_prefix + "x"], "a", TimeToLive, got[0] with { Name = _prefix + "guard" }, Token)).ShouldBeEmpty("under what is not held nothing is");
        var alone = (await leases.AcquireAsync([_prefix + "x"], "b", TimeToLive, null, Token)).Single();
        alone.Epoch.ShouldBeGreaterThan(got.Single(lease => lease.Name == alone.Name).Epoch);
        foreach (var lease in got) await leases.ReleaseAsync(lease, Token);
        (await leases.ReadAsync(alone.Name, Token)).ShouldBe(alone, "it is under nothing, and not its former holder's to give back");
        (await leases.RenewAsync(alone, TimeToLive, Token)).ShouldBeTrue();
    }

    [Fact]
    public async Task What_nobody_has_reads_as_nothing() => (await (await CreateAsync()).ReadAsync(Name, Token)).ShouldBeNull();
}
