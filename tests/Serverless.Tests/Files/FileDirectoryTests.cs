using Serverless.Documents;
using Serverless.Errors;
using Serverless.Files;
using Serverless.Hosting.Files;
using Serverless.Requests;
using Serverless.Tests.Contracts;
using Shouldly;

namespace Serverless.Tests.Files;

public sealed class FileDirectoryTests : IDisposable
{
    private static readonly Owner Acme = new("acme", "research", "key-1");
    private static readonly Owner Rival = new("acme", "sales", "key-2");

    private readonly TestFolder _folder = new();
    private readonly TestClock _time = new();
    private readonly FailingDocuments _documents;
    private readonly LocalFileStore _store;
    private FileLimits _limits = new() { MaxFileBytes = 1000, MaxOwnerBytes = 5000, MaxOwnerFiles = 5 };

    public FileDirectoryTests()
    {
        _documents = new FailingDocuments(new MemoryDocumentStore(_time));
        _store = new LocalFileStore(_folder.Path, _time);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private FileDirectory Directory => new(_store, _documents, _limits, _time);

    private FileSweep Sweep => new(_store, _documents, _limits, _time);

    [Fact]
    public async Task A_file_is_there_once_it_is_published_and_not_before()
    {
        var draft = await Directory.DraftAsync(Acme, FileId.New(), new MemoryStream([1, 2, 3]), Token);
        (await Directory.FindAsync(Acme, draft.Id.Value, Token)).ShouldBeNull();

        var file = await Directory.PublishAsync(draft, new FileDetails("a.jsonl", "user_data"), Token);

        file.ShouldBe(await Directory.GetAsync(Acme, file.Id, Token));
        (file.Filename, file.Purpose, file.Bytes, file.ExpiresAt, file.CreatedAt).ShouldBe(("a.jsonl", "user_data", 3, null, _time.GetUtcNow()));
        (await ReadAsync(file, 1, 1)).ShouldBe([2]);
    }

    [Fact]
    public async Task Another_teams_file_is_not_there_whatever_is_asked_of_it()
    {
        var file = await CreateAsync(Acme);

        (await Directory.FindAsync(Rival, file.Id, Token)).ShouldBeNull();
        (await FaultAsync(() => Directory.GetAsync(Rival, file.Id, Token).AsTask())).ShouldBe(new ServingFault(ServingError.FileNotFound, $"No such File object: {file.Id}", "id"));
        (await FaultAsync(() => Directory.DeleteAsync(Rival, file.Id, Token).AsTask())).Error.ShouldBe(ServingError.FileNotFound);
        (await Directory.ListAsync(Rival, new FileQuery(), Token)).Page.ShouldBeEmpty();
        (await FaultAsync(() => Directory.ListAsync(Rival, new FileQuery { After = file.Id }, Token).AsTask())).Param.ShouldBe("after");
        (await Directory.FindAsync(Acme, file.Id, Token)).ShouldNotBeNull();
    }

    [Theory]
    [InlineData("")]
    [InlineData("file-")]
    [InlineData("file-a|b")]
    [InlineData("file-../../x")]
    [InlineData("nofile-1")]
    public async Task What_is_no_id_is_no_file(string id) => (await FaultAsync(() => Directory.GetAsync(Acme, id, Token).AsTask())).Error.ShouldBe(ServingError.FileNotFound);

    [Fact]
    public async Task Lists_go_both_ways_page_by_page()
    {
        _limits = _limits with { MaxOwnerFiles = 1000, MaxOwnerBytes = 1_000_000 };
        var files = new List<string>();
        for (var i = 0; i < 45; i++) files.Add((await CreateAsync(Acme, purpose: i % 3 == 0 ? "evals" : "user_data")).Id);

        foreach (var oldestFirst in new[] { true, false })
        {
            var expected = oldestFirst ? files : Enumerable.Reverse(files).ToList();
            foreach (var (purpose, wanted) in new (string?, List<string>)[] { (null, expected), ("evals", [.. expected.Where(id => files.IndexOf(id) % 3 == 0)]), ("nothing", []) })
            {
                var seen = new List<string>();
                while (true)
                {
                    var (page, hasMore) = await Directory.ListAsync(Acme, new FileQuery { Limit = 7, OldestFirst = oldestFirst, Purpose = purpose, After = seen.LastOrDefault() }, Token);
                    seen.AddRange(page.Select(file => file.Id));
                    if (!hasMore) break;
                    page.Count.ShouldBe(7);
                }

                seen.ShouldBe(wanted);
            }
        }
    }

    [Fact]
    public async Task Files_of_batches_expire_by_themselves_and_others_when_it_was_said()
    {
        _limits = _limits with { DefaultExpiry = TimeSpan.FromDays(30) };
        var batch = await CreateAsync(Acme, purpose: FilePurposes.Batch);
        var output = await CreateAsync(Acme, purpose: FilePurposes.BatchOutput, expires: TimeSpan.FromHours(2));
        var data = await CreateAsync(Acme);

        batch.ExpiresAt.ShouldBe(_time.GetUtcNow() + TimeSpan.FromDays(30));
        _time.Advance(TimeSpan.FromHours(2));
        (await Directory.FindAsync(Acme, output.Id, Token)).ShouldBeNull();
        (await Directory.ListAsync(Acme, new FileQuery(), Token)).Page.Select(file => file.Id).ShouldBe([data.Id, batch.Id]);

        _time.Advance(TimeSpan.FromDays(30));
        (await Sweep.RunAsync(Token)).ShouldBe(2);
        _folder.Files.Count.ShouldBe(1);
        (await ReadAsync(data, 0, null)).Length.ShouldBe(3);
    }

    [Fact]
    public async Task Made_again_under_its_id_it_is_the_same_file()
    {
        var id = FileId.Derive("batch-1/output"u8);
        id.ShouldBe(FileId.Derive("batch-1/output"u8));
        var first = await Directory.PublishAsync(await Directory.DraftAsync(Acme, id, new MemoryStream([1]), Token), new FileDetails("a", FilePurposes.BatchOutput), Token);

        var second = await Directory.PublishAsync(await Directory.DraftAsync(Acme, id, new MemoryStream([2, 2]), Token), new FileDetails("b", FilePurposes.BatchOutput), Token);

        second.ShouldBe(first);
        (await ReadAsync(second, 0, null)).ShouldBe([1]);
        _folder.Files.Count.ShouldBe(1);
    }

    [Fact]
    public async Task A_team_has_so_many_files_and_bytes_and_what_is_deleted_or_expired_makes_room()
    {
        _limits = new FileLimits { MaxFileBytes = 1000, MaxOwnerBytes = 1000, MaxOwnerFiles = 2 };
        var first = await CreateAsync(Acme, bytes: 600, expires: TimeSpan.FromHours(1));
        var fault = await FaultAsync(() => CreateAsync(Acme, bytes: 500));
        (fault.Error, fault.Param).ShouldBe((ServingError.StorageFull, "file"));
        foreach (var told in new[] { "600", "500", "1000", "MaxOwnerBytes" }) fault.Message.ShouldContain(told);
        _folder.Files.Count.ShouldBe(1, "what was refused is not kept");

        await CreateAsync(Acme, bytes: 10);
        (await FaultAsync(() => CreateAsync(Acme, bytes: 1))).Message.ShouldContain("MaxOwnerFiles");
        (await FaultAsync(() => Directory.RequireRoomAsync(Acme, 1, Token).AsTask())).Error.ShouldBe(ServingError.StorageFull);
        await CreateAsync(Rival, bytes: 900);

        await Directory.DeleteAsync(Acme, first.Id, Token);
        await CreateAsync(Acme, bytes: 990, expires: TimeSpan.FromHours(1));
        _time.Advance(TimeSpan.FromHours(1));
        await CreateAsync(Acme, bytes: 990);
    }

    [Fact]
    public async Task Files_made_at_once_are_all_counted()
    {
        _limits = new FileLimits { MaxFileBytes = 1000, MaxOwnerBytes = 1000, MaxOwnerFiles = 100 };

        var made = await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            try
            {
                return await CreateAsync(Acme, bytes: 100);
            }
            catch (ServingException)
            {
                return null;
            }
        }));

        made.Count(file => file is not null).ShouldBe(10);
        (await Directory.ListAsync(Acme, new FileQuery(), Token)).Page.Count.ShouldBe(10);
        _folder.Files.Count.ShouldBe(10);
    }

    [Fact]
    public async Task A_file_that_is_too_long_is_told_with_its_limit_and_not_kept()
    {
        var fault = await FaultAsync(() => CreateAsync(Acme, bytes: 1001));

        (fault.Error, fault.Param).ShouldBe((ServingError.FileTooLarge, "file"));
        fault.Message.ShouldContain("1000");
        _folder.Files.ShouldBeEmpty();
    }

    /// <summary>A process that dies between any two steps leaves a file, or bytes that are swept, and a figure that is right in the end.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Wherever_making_a_file_breaks_off_it_is_there_or_is_swept(int calls)
    {
        _limits = new FileLimits { MaxFileBytes = 1000, MaxOwnerBytes = 1000, MaxOwnerFiles = 100 };
        _documents.FailAfter = calls;
        await Should.ThrowAsync<ServingException>(async () => await CreateAsync(Acme, bytes: 600));
        _documents.FailAfter = int.MaxValue;

        (await Directory.ListAsync(Acme, new FileQuery(), Token)).Page.ShouldBeEmpty();
        _time.Advance(FileSweep.Grace + TimeSpan.FromSeconds(1));
        await Sweep.RunAsync(Token);

        _folder.Files.ShouldBeEmpty();
        await CreateAsync(Acme, bytes: 1000);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Wherever_deleting_one_breaks_off_it_is_gone_and_its_bytes_are_swept(int calls)
    {
        _limits = new FileLimits { MaxFileBytes = 1000, MaxOwnerBytes = 1000, MaxOwnerFiles = 100 };
        var file = await CreateAsync(Acme, bytes: 600);
        var kept = await CreateAsync(Acme, bytes: 100);
        _documents.FailAfter = calls;
        await Directory.DeleteAsync(Acme, file.Id, Token);
        _documents.FailAfter = int.MaxValue;

        (await Directory.FindAsync(Acme, file.Id, Token)).ShouldBeNull();
        _time.Advance(FileSweep.Grace + TimeSpan.FromSeconds(1));
        (await Sweep.RunAsync(Token)).ShouldBe(1);

        (await Directory.ListAsync(Acme, new FileQuery(), Token)).Page.ShouldHaveSingleItem().Id.ShouldBe(kept.Id);
        await CreateAsync(Acme, bytes: 900);
    }

    [Fact]
    public async Task A_document_of_a_later_release_stops_no_sweep()
    {
        var unreadable = await CreateAsync(Acme);
        await _documents.SaveAsync(new DocumentKey("files", Acme.Scope, unreadable.Id), "{\"id\":7}"u8.ToArray(), SaveCondition.Any, null, Token);
        await Directory.DraftAsync(Acme, FileId.New(), new MemoryStream([1]), Token);
        _time.Advance(FileSweep.Grace + TimeSpan.FromSeconds(1));

        (await Sweep.RunAsync(Token)).ShouldBe(1);

        _folder.Files.Count.ShouldBe(1, "what it cannot read it leaves");
    }

    [Fact]
    public async Task A_sweep_leaves_what_is_young_what_is_a_files_and_what_is_not_of_files()
    {
        var file = await CreateAsync(Acme);
        await _store.PutAsync(new FileKey("files", "foreign"), new MemoryStream([1]), 1, Token);
        await _store.PutAsync(new FileKey("batches", "a~b"), new MemoryStream([1]), 1, Token);
        _time.Advance(TimeSpan.FromDays(2));
        var draft = await Directory.DraftAsync(Acme, FileId.New(), new MemoryStream([1]), Token);

        (await Sweep.RunAsync(Token)).ShouldBe(0);

        _folder.Files.Count.ShouldBe(4);
        await Directory.PublishAsync(draft, new FileDetails("late", "evals"), Token);
        (await ReadAsync(file, 0, null)).Length.ShouldBe(3);
    }

    public void Dispose() => _folder.Dispose();

    private async Task<StoredFile> CreateAsync(Owner owner, int bytes = 3, string purpose = "user_data", TimeSpan? expires = null) =>
        await Directory.PublishAsync(await Directory.DraftAsync(owner, FileId.New(), new Trickle(new byte[bytes]), Token), new FileDetails("a.jsonl", purpose, expires), Token);

    private async Task<byte[]> ReadAsync(StoredFile file, long offset, long? length)
    {
        await using var content = await Directory.OpenAsync(file, offset, length, Token);
        using var all = new MemoryStream();
        await content.CopyToAsync(all, Token);
        return all.ToArray();
    }

    private static async Task<ServingFault> FaultAsync(Func<Task> action) => (await Should.ThrowAsync<ServingException>(action)).Fault;

    /// <summary>Documents of a process that dies after so many calls.</summary>
    private sealed class FailingDocuments(MemoryDocumentStore documents) : IDocumentStore
    {
        public int FailAfter { get; set; } = int.MaxValue;

        public ValueTask<Document?> GetAsync(DocumentKey key, CancellationToken cancellationToken) => Here().GetAsync(key, cancellationToken);

        public ValueTask<string?> SaveAsync(DocumentKey key, ReadOnlyMemory<byte> json, SaveCondition condition, TimeSpan? timeToLive, CancellationToken cancellationToken) =>
            Here().SaveAsync(key, json, condition, timeToLive, cancellationToken);

        public ValueTask<bool> DeleteAsync(DocumentKey key, SaveCondition condition, CancellationToken cancellationToken) => Here().DeleteAsync(key, condition, cancellationToken);

        public ValueTask<IReadOnlyList<string>> ListAsync(string collection, string tenant, string? after, int limit, CancellationToken cancellationToken) =>
            Here().ListAsync(collection, tenant, after, limit, cancellationToken);

        private MemoryDocumentStore Here() => FailAfter == int.MaxValue || FailAfter-- > 0 ? documents : throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "It is away."));
    }

    [Fact]
    public async Task A_count_that_cannot_be_read_stops_no_sweep()
    {
        await Directory.DraftAsync(Rival, FileId.New(), new MemoryStream([1]), Token);
        await Directory.DraftAsync(Acme, FileId.New(), new MemoryStream([1]), Token);
        await _documents.SaveAsync(new DocumentKey("file-usage", Rival.Scope, "usage") { IsUnlisted = true }, "[7]"u8.ToArray(), SaveCondition.Any, null, Token);
        _time.Advance(FileSweep.Grace + TimeSpan.FromSeconds(1));

        (await Sweep.RunAsync(Token)).ShouldBe(2);

        _folder.Files.ShouldBeEmpty();
    }
}
