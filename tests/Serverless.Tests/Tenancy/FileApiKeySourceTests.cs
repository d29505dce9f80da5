using Microsoft.Extensions.Logging.Testing;
using Serverless.Hosting.Keys;
using Serverless.Tenancy;
using Shouldly;

namespace Serverless.Tests.Tenancy;

/// <summary>A key that was revoked stops working, whatever the file does meanwhile.</summary>
public sealed class FileApiKeySourceTests : IDisposable
{
    private static readonly (string Key, string Line) Kept = ApiKeyTable.Create("acme", "search", admin: false);
    private static readonly (string Key, string Line) Revoked = ApiKeyTable.Create("acme", "search", admin: false);

    private readonly string _path = Path.Combine(Path.GetTempPath(), $"keys-{Guid.NewGuid():n}");
    private readonly TestClock _time = new();
    private readonly FakeLogger<FileApiKeySource> _log = new();
    private readonly FileApiKeySource _source;

    public FileApiKeySourceTests()
    {
        File.WriteAllText(_path, $"{Kept.Line}\n{Revoked.Line}\n");
        _source = new FileApiKeySource(_path, _time, _log);
    }

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void A_read_that_failed_is_tried_again_though_the_file_does_not_change_any_more()
    {
        File.WriteAllText(_path, Kept.Line);
        using (new FileStream(_path, FileMode.Open, FileAccess.ReadWrite, FileShare.None)) Find(Revoked).ShouldNotBeNull();

        Find(Revoked).ShouldBeNull();
        Find(Kept).ShouldNotBeNull();
    }

    [Fact]
    public void A_faulty_file_is_told_once_and_changes_nothing_until_it_is_sound()
    {
        File.WriteAllText(_path, "half a li");
        for (var i = 0; i < 3; i++) Find(Revoked).ShouldNotBeNull();

        File.WriteAllText(_path, Kept.Line);
        Find(Revoked).ShouldBeNull();
        _log.Collector.GetSnapshot().Count(entry => entry.Message.Contains("could not be read", StringComparison.Ordinal)).ShouldBe(1);
    }

    [Fact]
    public void A_change_that_leaves_time_and_length_alone_is_seen()
    {
        var written = File.GetLastWriteTimeUtc(_path);
        var other = ApiKeyTable.Create("acme", "search", admin: false);
        File.WriteAllText(_path, $"{Kept.Line}\n{other.Line}\n");
        File.SetLastWriteTimeUtc(_path, written);

        Find(Revoked).ShouldBeNull();
        Find(other).ShouldNotBeNull();
    }

    private ApiKey? Find((string Key, string Line) key)
    {
        _time.Advance(TimeSpan.FromSeconds(1));
        return _source.Current!.Find(key.Key);
    }
}
