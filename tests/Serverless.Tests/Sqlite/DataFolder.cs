using Serverless.Hosting.Sqlite;

namespace Serverless.Tests.Sqlite;

/// <summary>A data folder of one test, and the database in it.</summary>
internal sealed class DataFolder : IAsyncDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("serverless-data-").FullName;

    public SqliteFile File { get; private set; }

    public DataFolder() => File = SqliteFile.Open(Path);

    /// <summary>What another start finds.</summary>
    public async Task ReopenAsync()
    {
        await File.DisposeAsync();
        File = SqliteFile.Open(Path);
    }

    public async ValueTask DisposeAsync()
    {
        await File.DisposeAsync();
        Directory.Delete(Path, recursive: true);
    }
}
