using System.Text;
using Serverless.Documents;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every adapter of <see cref="IDocumentStore"/> does. A subclass gives the adapter; each test takes a fresh tenant, so that adapters may share a store.</summary>
public abstract class DocumentStoreContract
{
    private const string Collection = "requests";

    private readonly string _tenant = $"tenant-{Guid.NewGuid():n}";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_saved_is_read_as_it_was()
    {
        var store = await CreateAsync();
        var json = """{"text":"é \n \u0000","number":1.50,"empty":{}}""";

        var etag = await store.SaveAsync(Key("a"), Json(json), SaveCondition.Any, null, Token);
        var document = await store.GetAsync(Key("a"), Token);

        document.ShouldNotBeNull().Key.ShouldBe(Key("a"));
        document.ETag.ShouldBe(etag);
        System.Text.Json.Nodes.JsonNode.DeepEquals(System.Text.Json.Nodes.JsonNode.Parse(document.Json.Span), System.Text.Json.Nodes.JsonNode.Parse(json)).ShouldBeTrue();
    }

    [Fact]
    public async Task What_never_was_is_not_there()
    {
        var store = await CreateAsync();

        (await store.GetAsync(Key("a"), Token)).ShouldBeNull();
        (await store.DeleteAsync(Key("a"), SaveCondition.Any, Token)).ShouldBeTrue();
        (await ListAsync(store)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Another_tenants_and_another_collections_document_is_not_there()
    {
        var store = await CreateAsync();
        await SaveAsync(store, "a");

        (await store.GetAsync(Key("a") with { Tenant = _tenant + "-other" }, Token)).ShouldBeNull();
        (await store.GetAsync(Key("a") with { Collection = "batches" }, Token)).ShouldBeNull();
        (await store.ListAsync(Collection, _tenant + "-other", null, 10, Token)).ShouldBeEmpty();
        (await store.ListAsync("batches", _tenant, null, 10, Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task An_unlisted_one_is_found_by_its_name_and_in_no_list()
    {
        var store = await CreateAsync();
        var unlisted = new DocumentKey("idempotency", _tenant, "a") { IsUnlisted = true };

        var etag = await store.SaveAsync(unlisted, Json("1"), SaveCondition.New, TimeSpan.FromMinutes(1), Token);
        var saved = (await store.GetAsync(unlisted, Token)).ShouldNotBeNull();
        (await store.SaveAsync(unlisted, Json("2"), SaveCondition.Unchanged(saved), TimeSpan.FromMinutes(1), Token)).ShouldNotBeNull();

        saved.ETag.ShouldBe(etag);
        (await store.ListAsync("idempotency", _tenant, null, 10, Token)).ShouldBeEmpty();
        (await store.DeleteAsync(unlisted, SaveCondition.Any, Token)).ShouldBeTrue();
        (await store.GetAsync(unlisted, Token)).ShouldBeNull();
    }

    [Fact]
    public async Task A_save_of_a_new_one_wins_once()
    {
        var store = await CreateAsync();

        var tags = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => store.SaveAsync(Key("a"), Json($"{i}"), SaveCondition.New, null, Token).AsTask()));

        tags.Count(tag => tag is not null).ShouldBe(1);
        var winner = Array.FindIndex(tags, tag => tag is not null);
        var stored = (await store.GetAsync(Key("a"), Token)).ShouldNotBeNull();
        Text(stored).ShouldBe($"{winner}");
        stored.ETag.ShouldBe(tags[winner]);
    }

    [Fact]
    public async Task A_save_under_an_old_tag_changes_nothing()
    {
        var store = await CreateAsync();
        await SaveAsync(store, "a", "1");
        var read = (await store.GetAsync(Key("a"), Token)).ShouldNotBeNull();

        var first = await store.SaveAsync(Key("a"), Json("2"), SaveCondition.Unchanged(read), null, Token);
        var second = await store.SaveAsync(Key("a"), Json("3"), SaveCondition.Unchanged(read), null, Token);

        first.ShouldNotBeNull().ShouldNotBe(read.ETag);
        second.ShouldBeNull();
        Text((await store.GetAsync(Key("a"), Token)).ShouldNotBeNull()).ShouldBe("2");
    }

    [Fact]
    public async Task A_tag_of_a_deleted_one_is_no_tag_of_its_successor()
    {
        var store = await CreateAsync();
        await SaveAsync(store, "a", "1");
        var old = (await store.GetAsync(Key("a"), Token)).ShouldNotBeNull();
        await store.DeleteAsync(Key("a"), SaveCondition.Any, Token);

        (await store.SaveAsync(Key("a"), Json("2"), SaveCondition.Unchanged(old), null, Token)).ShouldBeNull();
        await SaveAsync(store, "a", "3");
        (await store.SaveAsync(Key("a"), Json("4"), SaveCondition.Unchanged(old), null, Token)).ShouldBeNull();
        (await store.DeleteAsync(Key("a"), SaveCondition.Unchanged(old), Token)).ShouldBeFalse();

        Text((await store.GetAsync(Key("a"), Token)).ShouldNotBeNull()).ShouldBe("3");
    }

    [Fact]
    public async Task Increments_of_many_at_once_are_all_counted()
    {
        var store = await CreateAsync();
        await SaveAsync(store, "a", "0");

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(
            async () =>
            {
                for (var done = 0; done < 5;)
                {
                    var read = (await store.GetAsync(Key("a"), Token))!;
                    var next = int.Parse(Text(read), System.Globalization.CultureInfo.InvariantCulture) + 1;
                    if (await store.SaveAsync(Key("a"), Json($"{next}"), SaveCondition.Unchanged(read), null, Token) is not null) done++;
                }
            },
            Token)));

        Text((await store.GetAsync(Key("a"), Token)).ShouldNotBeNull()).ShouldBe("20");
    }

    [Fact]
    public async Task Deleted_is_gone_from_the_index_too()
    {
        var store = await CreateAsync();
        await SaveAsync(store, "a");
        await SaveAsync(store, "b");
        var read = (await store.GetAsync(Key("a"), Token)).ShouldNotBeNull();

        (await store.DeleteAsync(Key("a"), SaveCondition.Unchanged(read), Token)).ShouldBeTrue();

        (await store.GetAsync(Key("a"), Token)).ShouldBeNull();
        (await ListAsync(store)).ShouldBe(["b"]);
    }

    [Fact]
    public async Task The_index_is_newest_first_in_pages_and_a_later_save_keeps_its_place()
    {
        var store = await CreateAsync();
        foreach (var id in new[] { "a", "b", "c", "d", "e" }) await SaveAsync(store, id);
        await SaveAsync(store, "a", "2");

        (await store.ListAsync(Collection, _tenant, null, 2, Token)).ShouldBe(["e", "d"]);
        (await store.ListAsync(Collection, _tenant, "d", 2, Token)).ShouldBe(["c", "b"]);
        (await store.ListAsync(Collection, _tenant, "b", 2, Token)).ShouldBe(["a"]);
        (await store.ListAsync(Collection, _tenant, "a", 2, Token)).ShouldBeEmpty();
        (await store.ListAsync(Collection, _tenant, "unknown", 2, Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task The_index_holds_what_many_save_at_once()
    {
        var store = await CreateAsync();
        var ids = Enumerable.Range(0, 40).Select(i => $"id-{i:D2}").ToArray();

        await Task.WhenAll(ids.Select(id => store.SaveAsync(Key(id), Json("1"), SaveCondition.New, null, Token).AsTask()));

        (await store.ListAsync(Collection, _tenant, null, 100, Token)).ShouldBe(ids, ignoreOrder: true);
    }

    [Fact]
    public async Task What_outlived_its_time_is_gone_and_may_be_new_again()
    {
        var store = await CreateAsync();
        await SaveAsync(store, "stays");
        await store.SaveAsync(Key("a"), Json("1"), SaveCondition.Any, TimeSpan.FromSeconds(1), Token);
        (await store.GetAsync(Key("a"), Token)).ShouldNotBeNull();

        await PassAsync(TimeSpan.FromSeconds(1));

        (await store.GetAsync(Key("a"), Token)).ShouldBeNull();
        (await ListAsync(store)).ShouldBe(["stays"]);
        (await store.SaveAsync(Key("a"), Json("2"), SaveCondition.New, null, Token)).ShouldNotBeNull();
        (await ListAsync(store)).ShouldBe(["a", "stays"]);
    }

    /// <summary>A store. The subclass disposes of it.</summary>
    protected abstract ValueTask<IDocumentStore> CreateAsync();

    /// <summary>Lets that much of the store's time pass, and a little more.</summary>
    protected abstract ValueTask PassAsync(TimeSpan span);

    private static ReadOnlyMemory<byte> Json(string text) => Encoding.UTF8.GetBytes(text);

    private static string Text(Document document) => Encoding.UTF8.GetString(document.Json.Span);

    private DocumentKey Key(string id) => new(Collection, _tenant, id);

    private async Task SaveAsync(IDocumentStore store, string id, string json = "{}") => (await store.SaveAsync(Key(id), Json(json), SaveCondition.Any, null, Token)).ShouldNotBeNull();

    private ValueTask<IReadOnlyList<string>> ListAsync(IDocumentStore store) => store.ListAsync(Collection, _tenant, null, 100, Token);
}
