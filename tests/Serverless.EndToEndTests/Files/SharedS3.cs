using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests.Files;

/// <summary>The S3 that the tests of a class share: each takes fresh names.</summary>
public sealed class SharedS3 : IAsyncLifetime
{
    internal S3Server? Server { get; private set; }

    public async ValueTask InitializeAsync()
    {
        if (S3Server.Absent is null) Server = await S3Server.StartNewAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        if (Server is not null) await Server.DisposeAsync();
    }
}
