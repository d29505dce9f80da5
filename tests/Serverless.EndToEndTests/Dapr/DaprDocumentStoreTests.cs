using Microsoft.Extensions.DependencyInjection;
using Serverless.Documents;
using Serverless.Hosting.Dapr;
using Serverless.Tests.Contracts;

namespace Serverless.EndToEndTests.Dapr;

/// <summary>The contract on the real daprd and a real Redis.</summary>
public sealed class DaprDocumentStoreTests(DaprParts parts) : DocumentStoreContract, IClassFixture<DaprParts>
{
    private readonly TestClock _time = new(TimeProvider.System.GetUtcNow());

    protected override ValueTask<IDocumentStore> CreateAsync()
    {
        Assert.SkipWhen(DaprParts.Absent is not null, DaprParts.Absent ?? "");
        return new(new DaprDocumentStore(parts.Services.GetRequiredService<DaprState>(), _time));
    }

    protected override ValueTask PassAsync(TimeSpan span)
    {
        _time.Advance(span + TimeSpan.FromMilliseconds(1));
        return ValueTask.CompletedTask;
    }
}
