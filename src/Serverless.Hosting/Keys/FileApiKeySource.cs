using Microsoft.Extensions.Logging;
using Serverless.Tenancy;

namespace Serverless.Hosting.Keys;

/// <summary>
/// API keys from a file, read again when the file changes: looked at once a second while somebody asks. A file that became faulty changes nothing and is said in the log,
/// so a slip of the pen locks nobody out; at the start it stops the process. Thread-safe.
/// </summary>
public sealed partial class FileApiKeySource : IApiKeySource
{
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly ILogger<FileApiKeySource> _logger;
    private volatile ApiKeyTable _table;
    private (DateTime Written, long Length) _version;
    private long _checkedAt;

    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="FormatException">It is faulty.</exception>
    public FileApiKeySource(string path, TimeProvider time, ILogger<FileApiKeySource> logger)
    {
        _path = Path.GetFullPath(path);
        _time = time;
        _logger = logger;
        _version = Version();
        _table = ApiKeyTable.Parse(File.ReadAllText(_path));
        _checkedAt = time.GetTimestamp();
    }

    /// <inheritdoc/>
    public ApiKeyTable? Current
    {
        get
        {
            if (_time.GetElapsedTime(Volatile.Read(ref _checkedAt)) >= CheckInterval && _lock.TryEnter())
            {
                try
                {
                    Refresh();
                }
                finally
                {
                    _lock.Exit();
                }
            }

            return _table;
        }
    }

    private void Refresh()
    {
        Volatile.Write(ref _checkedAt, _time.GetTimestamp());
        try
        {
            var version = Version();
            if (version == _version) return;

            _version = version;
            _table = ApiKeyTable.Parse(File.ReadAllText(_path));
            LogRead(_table.Count, _path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            LogFaulty(_path, e.Message);
        }
    }

    private (DateTime Written, long Length) Version()
    {
        var file = new FileInfo(_path);
        return (file.LastWriteTimeUtc, file.Exists ? file.Length : -1);
    }

    [LoggerMessage(LogLevel.Information, "Read {Count} API keys of {Path}.")]
    private partial void LogRead(int count, string path);

    [LoggerMessage(LogLevel.Warning, "API keys of {Path} could not be read, so the ones before stay: {Reason}")]
    private partial void LogFaulty(string path, string reason);
}
