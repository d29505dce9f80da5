using Serverless.Documents;
using Serverless.Hosting.Sqlite;
using Serverless.Tests.Contracts;
using Shouldly;

namespace Serverless.Tests.Sqlite;

public sealed class SqliteDocumentStoreTests : DocumentStoreContract, IAsyncDisposable
{
    private static readonly DocumentKey Key = new("requests", "tenant", "a");

    private readonly DataFolder _folder = new();
    private readonly TestClock _time = new();

    [Fact]
    public async Task A_document_outlives_its_process()
    {
        var etag = await new SqliteDocumentStore(_folder.File, _time).SaveAsync(Key, "1"u8.ToArray(), SaveCondition.New, null, TestContext.Current.CancellationToken);

        await _folder.ReopenAsync();

        (await new SqliteDocumentStore(_folder.File, _time).GetAsync(Key, TestContext.Current.CancellationToken)).ShouldNotBeNull().ETag.ShouldBe(etag);
    }

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    protected override ValueTask<IDocumentStore> CreateAsync() => new(new SqliteDocumentStore(_folder.File, _time));

    protected override ValueTask PassAsync(TimeSpan span)
    {
        _time.Advance(span);
        return ValueTask.CompletedTask;
    }
}
