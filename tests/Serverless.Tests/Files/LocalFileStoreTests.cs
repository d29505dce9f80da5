using Serverless.Errors;
using Serverless.Files;
using Serverless.Hosting.Files;
using Serverless.Tests.Contracts;
using Shouldly;

namespace Serverless.Tests.Files;

public sealed class LocalFileStoreTests : FileStoreContract, IDisposable
{
    private static readonly FileKey Name = new("files", "a");

    private readonly TestFolder _folder = new();
    private readonly TestClock _time = new();

    [Theory]
    [InlineData(nameof(PutStep.Written))]
    [InlineData(nameof(PutStep.Synced))]
    public async Task A_crash_before_the_rename_leaves_what_was_there_before(string step)
    {
        var crash = Enum.Parse<PutStep>(step);
        await Store().PutAsync(Name, new MemoryStream([1, 2, 3]), 10, Token);

        using var image = await CrashAsync(crash);

        var after = new LocalFileStore(image.Path, _time);
        (await ReadAsync(after)).ShouldBe([1, 2, 3]);
        (await after.ListAsync("files", null, 10, Token)).ShouldHaveSingleItem();
        image.Files.Count.ShouldBe(2, "the file, and what the put left");
    }

    [Fact]
    public async Task A_crash_after_the_rename_leaves_all_of_the_new_bytes()
    {
        await Store().PutAsync(Name, new MemoryStream([1, 2, 3]), 10, Token);

        using var image = await CrashAsync(PutStep.Renamed);

        (await ReadAsync(new LocalFileStore(image.Path, _time))).ShouldBe(new byte[5000]);
        image.Files.Count.ShouldBe(1);
    }

    [Fact]
    public async Task A_crash_in_the_midst_of_the_bytes_leaves_no_file_whatever_of_it_is_on_disk()
    {
        var images = new List<TestFolder>();
        try
        {
            await Store().PutAsync(Name, new Trickle(new byte[300_000]) { OnRead = () => images.Add(_folder.Copy()) }, 300_000, Token);

            images.Count.ShouldBeGreaterThan(3);
            foreach (var image in images)
            {
                var after = new LocalFileStore(image.Path, _time);
                (await after.OpenAsync(Name, 0, null, Token)).ShouldBeNull();
                (await after.ListAsync("files", null, 10, Token)).ShouldBeEmpty();
            }
        }
        finally
        {
            images.ForEach(image => image.Dispose());
        }
    }

    [Fact]
    public async Task What_a_crash_left_is_cleared_once_it_is_old_and_what_is_being_written_is_not()
    {
        using var image = await CrashAsync(PutStep.Synced);
        var store = new LocalFileStore(image.Path, _time);
        foreach (var left in image.Files) File.SetLastWriteTimeUtc(Path.Combine(image.Path, left), _time.GetUtcNow().UtcDateTime);

        (await store.DiscardUnfinishedAsync(_time.GetUtcNow(), Token)).ShouldBe(0);
        (await store.DiscardUnfinishedAsync(_time.GetUtcNow() + TimeSpan.FromSeconds(1), Token)).ShouldBe(1);
        image.Files.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_put_that_fails_on_the_disk_leaves_nothing()
    {
        var store = new LocalFileStore(_folder.Path, _time, step =>
        {
            if (step == PutStep.Written) throw new IOException("No space left on device");
        });

        await Should.ThrowAsync<IOException>(async () => await store.PutAsync(Name, new MemoryStream([1]), 10, Token));

        _folder.Files.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_folder_that_cannot_be_used_is_a_store_that_is_away()
    {
        var file = Path.Combine(_folder.Path, "file");
        await File.WriteAllTextAsync(file, "", Token);
        var store = new LocalFileStore(file, _time);

        var fault = (await Should.ThrowAsync<ServingException>(async () => await store.PutAsync(Name, new MemoryStream([1]), 10, Token))).Fault;

        fault.Error.ShouldBe(ServingError.StoreUnavailable);
        fault.Message.ShouldNotContain(_folder.Path);
    }

    [Theory]
    [InlineData("Files", "a")]
    [InlineData("files", "../a")]
    [InlineData("files", "..")]
    [InlineData("files", "a/b")]
    [InlineData("files", "")]
    [InlineData("", "a")]
    [InlineData("files", "a\0")]
    public void A_key_leads_nowhere_else(string room, string name) => Should.Throw<ArgumentException>(() => new FileKey(room, name));

    public void Dispose() => _folder.Dispose();

    protected override ValueTask<IFileStore> CreateAsync() => new(Store());

    private LocalFileStore Store() => new(_folder.Path, _time);

    /// <summary>The folder as it is at that step of a put.</summary>
    private async Task<TestFolder> CrashAsync(PutStep crash)
    {
        TestFolder? image = null;
        var store = new LocalFileStore(_folder.Path, _time, step =>
        {
            if (step == crash) image = _folder.Copy();
        });
        await store.PutAsync(Name, new Trickle(new byte[5000]), 5000, Token);
        return image.ShouldNotBeNull();
    }

    private static async Task<byte[]> ReadAsync(LocalFileStore store)
    {
        await using var content = (await store.OpenAsync(Name, 0, null, Token)).ShouldNotBeNull();
        using var all = new MemoryStream();
        await content.CopyToAsync(all, Token);
        return all.ToArray();
    }
}
