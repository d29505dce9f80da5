using Serverless.Hosting.Sqlite;
using Serverless.Requests;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Sqlite;

/// <summary>What a connection promises, over the file.</summary>
public class SqliteRequestQueueTests : RequestQueueContract, IAsyncDisposable
{
    protected override IDeadLetters Letters => new SqliteDeadLetters(Folder.File);

    private protected DataFolder Folder { get; } = new();

    private protected static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await Folder.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    protected override ValueTask<IRequestQueue> CreateAsync(QueueLimits limits) => new(Queue(limits));

    private protected SqliteRequestQueue Queue(QueueLimits? limits = null) => new(Folder.File, limits ?? new QueueLimits(), TimeProvider.System);
}
