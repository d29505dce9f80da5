using Serverless.Documents;
using Serverless.Tests.Contracts;

namespace Serverless.Tests.Documents;

public sealed class MemoryDocumentStoreTests : DocumentStoreContract
{
    private readonly TestClock _time = new();
    private readonly MemoryDocumentStore _store;

    public MemoryDocumentStoreTests() => _store = new MemoryDocumentStore(_time);

    protected override ValueTask<IDocumentStore> CreateAsync() => new(_store);

    protected override ValueTask PassAsync(TimeSpan span)
    {
        _time.Advance(span);
        return ValueTask.CompletedTask;
    }
}
