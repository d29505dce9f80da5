using Microsoft.Extensions.DependencyInjection;
using Serverless.Documents;
using Serverless.Errors;
using Serverless.Hosting.Dapr;
using Shouldly;

namespace Serverless.EndToEndTests.Dapr;

/// <summary>What is said when the sidecar is away or hangs, and how large an index may grow.</summary>
public sealed class DaprFaultTests(DaprParts parts) : IClassFixture<DaprParts>
{
    private static readonly ReadOnlyMemory<byte> Json = "{}"u8.ToArray();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_sidecar_that_hangs_or_is_gone_is_unreachable_in_bounded_time_and_is_used_again_when_it_is_back()
    {
        Assert.SkipWhen(DaprParts.Absent is not null, DaprParts.Absent ?? "");
        await using var services = DaprParts.ServicesOf(parts.Sidecar, ("Dapr:Timeout", "00:00:01"));
        var store = services.GetRequiredService<IDocumentStore>();
        var key = new DocumentKey("requests", $"tenant-{Guid.NewGuid():n}", "a");
        (await store.SaveAsync(key, Json, SaveCondition.New, null, Token)).ShouldNotBeNull();

        await parts.Sidecar.Process.SignalAsync("STOP");
        await UnreachableAsync(store, key);
        await parts.Sidecar.Process.SignalAsync("CONT");
        await ReachableAsync(store, key);

        await parts.Sidecar.KillAsync();
        await UnreachableAsync(store, key);
        await parts.Sidecar.StartAsync(Token);
        await ReachableAsync(store, key);
    }

    [Fact]
    public async Task A_store_behind_the_sidecar_that_is_gone_is_unreachable_too()
    {
        Assert.SkipWhen(DaprParts.Absent is not null, DaprParts.Absent ?? "");
        var store = parts.Services.GetRequiredService<IDocumentStore>();
        var key = new DocumentKey("requests", $"tenant-{Guid.NewGuid():n}", "a");
        await store.SaveAsync(key, Json, SaveCondition.New, null, Token);

        await parts.Redis.KillAsync();
        await UnreachableAsync(store, key);
        await parts.Redis.StartAsync(Token);

        await ReachableAsync(store, key);
    }

    [Fact]
    public async Task An_index_of_many_pages_written_by_two_processes_misses_nothing_and_repeats_nothing()
    {
        Assert.SkipWhen(DaprParts.Absent is not null, DaprParts.Absent ?? "");
        await using var other = DaprParts.ServicesOf(parts.Sidecar);
        IDocumentStore[] stores = [parts.Services.GetRequiredService<IDocumentStore>(), other.GetRequiredService<IDocumentStore>()];
        var tenant = $"tenant-{Guid.NewGuid():n}";
        var ids = Enumerable.Range(0, (3 * IndexPage.Capacity) + 7).Select(number => $"id-{number}").ToArray();

        await Parallel.ForEachAsync(ids, new ParallelOptions { MaxDegreeOfParallelism = 32, CancellationToken = Token }, async (id, token) =>
            (await stores[id.GetHashCode(StringComparison.Ordinal) & 1].SaveAsync(new DocumentKey("requests", tenant, id), Json, SaveCondition.New, TimeSpan.FromHours(1), token)).ShouldNotBeNull());

        List<string> listed = [];
        while (await stores[0].ListAsync("requests", tenant, listed.LastOrDefault(), 100, Token) is { Count: > 0 } page) listed.AddRange(page);
        listed.ShouldBeUnique();
        listed.ShouldBe(ids, ignoreOrder: true);
    }

    [Fact]
    public async Task A_writer_that_turns_a_page_over_late_takes_nothing_from_it_that_another_added_meanwhile()
    {
        Assert.SkipWhen(DaprParts.Absent is not null, DaprParts.Absent ?? "");
        var tenant = $"tenant-{Guid.NewGuid():n}";
        var held = new HeldCall("GetState", $"index.requests/{tenant}/0");
        await using var slow = DaprParts.ServicesThrough(parts.Sidecar, held);
        var (late, store) = (slow.GetRequiredService<IDocumentStore>(), parts.Services.GetRequiredService<IDocumentStore>());
        var full = Enumerable.Range(0, IndexPage.Capacity).Select(number => $"id-{number}").ToArray();
        await Parallel.ForEachAsync(full, new ParallelOptions { MaxDegreeOfParallelism = 32, CancellationToken = Token }, async (id, _) => await AddAsync(store, id));

        var adding = AddAsync(late, "late");
        await held.Reached.WithinLimitAsync();
        await store.DeleteAsync(new DocumentKey("requests", tenant, full[0]), SaveCondition.Any, Token);
        await AddAsync(store, "last-of-the-page");
        await AddAsync(store, "first-of-the-next");
        held.Release();
        await adding.WithinLimitAsync();

        (await store.ListAsync("requests", tenant, null, 2 * IndexPage.Capacity, Token)).ShouldBe([.. full[1..], "last-of-the-page", "first-of-the-next", "late"], ignoreOrder: true);

        async Task AddAsync(IDocumentStore to, string id) => (await to.SaveAsync(new DocumentKey("requests", tenant, id), Json, SaveCondition.New, null, Token)).ShouldNotBeNull();
    }

    [Fact]
    public async Task A_secret_is_read_from_the_sidecars_store_and_one_that_is_not_there_is_named()
    {
        Assert.SkipWhen(DaprParts.Absent is not null, DaprParts.Absent ?? "");
        var secrets = parts.Services.GetRequiredService<DaprSecrets>();

        (await secrets.ReadAsync("redis", Token))["host"].ShouldBe(parts.Redis.Configuration);
        (await Should.ThrowAsync<ServingException>(() => secrets.ReadAsync("nobody", Token))).Fault.Message.ShouldContain("'nobody'");
    }

    private static async Task UnreachableAsync(IDocumentStore store, DocumentKey key)
    {
        var failure = await Should.ThrowAsync<ServingException>(() => store.GetAsync(key, Token).AsTask().WithinLimitAsync());
        failure.Fault.Error.ShouldBe(ServingError.StoreUnavailable);
        failure = await Should.ThrowAsync<ServingException>(() => store.SaveAsync(key, Json, SaveCondition.Any, null, Token).AsTask().WithinLimitAsync());
        failure.Fault.Error.ShouldBe(ServingError.StoreUnavailable);
    }

    private static async Task ReachableAsync(IDocumentStore store, DocumentKey key)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        while (await pace.WaitForNextTickAsync(limit.Token))
        {
            try
            {
                (await store.GetAsync(key, Token)).ShouldNotBeNull();
                return;
            }
            catch (ServingException)
            {
                // Not yet: its own reconnecting takes a moment.
            }
        }
    }
}
