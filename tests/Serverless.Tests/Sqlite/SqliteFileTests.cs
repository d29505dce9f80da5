using Serverless.Errors;
using Serverless.Hosting.Sqlite;
using Shouldly;

namespace Serverless.Tests.Sqlite;

public sealed class SqliteFileTests : IAsyncDisposable
{
    private readonly DataFolder _folder = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void A_folder_in_use_is_refused_with_its_name()
    {
        Should.Throw<IOException>(() => SqliteFile.Open(_folder.Path)).Message.ShouldContain(_folder.Path);
    }

    [Fact]
    public async Task What_is_no_database_is_refused_with_its_name()
    {
        await _folder.File.DisposeAsync();
        var path = Path.Combine(_folder.Path, SqliteFile.FileName);
        await File.WriteAllTextAsync(path, new string('x', 8192), Token);

        Should.Throw<IOException>(() => SqliteFile.Open(_folder.Path)).Message.ShouldContain(path);
    }

    [Fact]
    public async Task A_file_of_a_later_release_is_left_alone()
    {
        await _folder.File.WriteAsync(connection => connection.Run("PRAGMA user_version = 1000"), Token);

        var refused = await Should.ThrowAsync<IOException>(_folder.ReopenAsync);

        refused.Message.ShouldContain("1000");
    }

    [Fact]
    public async Task A_write_that_fails_keeps_nothing_and_spares_its_neighbours()
    {
        var writes = Enumerable.Range(0, 50).Select(i => _folder.File.WriteAsync(
            connection =>
            {
                connection.Run("INSERT INTO requests (id, record, body) VALUES ($id, x'', x'')", ("$id", $"{i}"));
                if (i % 2 == 1) connection.Run("INSERT INTO nowhere VALUES (1)");
                return i;
            },
            Token)).ToArray();

        for (var i = 0; i < writes.Length; i++)
        {
            if (i % 2 == 1) (await Should.ThrowAsync<ServingException>(writes[i])).Fault.Error.ShouldBe(ServingError.StoreUnavailable);
            else (await writes[i]).ShouldBe(i);
        }

        _folder.File.Read(connection => connection.Scalar("SELECT COUNT(*) FROM requests")).ShouldBe(25L);
    }

    [Fact]
    public async Task Whatever_breaks_the_writer_is_answered_and_the_next_write_is_served()
    {
        // No exception of SQLite's: it ended the loop that writes, and every later write waited for ever (F28).
        var broken = _folder.File.WriteAsync(
            connection =>
            {
                connection.Close();
                return 1;
            },
            Token);
        (await Should.ThrowAsync<ServingException>(broken.WithinLimitAsync())).Fault.Error.ShouldBe(ServingError.StoreUnavailable);

        (await _folder.File.WriteAsync(connection => connection.Scalar("SELECT COUNT(*) FROM requests"), Token).WithinLimitAsync()).ShouldBe(0L);
    }

    [Fact]
    public async Task A_closed_file_refuses()
    {
        await _folder.File.DisposeAsync();

        (await Should.ThrowAsync<ServingException>(_folder.File.WriteAsync(_ => 0, Token))).Fault.Error.ShouldBe(ServingError.StoreUnavailable);
    }

    public ValueTask DisposeAsync() => _folder.DisposeAsync();
}
