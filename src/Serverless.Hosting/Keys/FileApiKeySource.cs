using Microsoft.Extensions.Logging;
using Serverless.Tenancy;

namespace Serverless.Hosting.Keys;

/// <summary>
/// API keys from a file: read again once a second while somebody asks. It is small, so its text says whether it changed; times and lengths of files do not always. A file that became
/// faulty or cannot be read changes nothing and is said in the log, so a slip of the pen locks nobody out; it is read again until it can be. At the start it stops the process. Thread-safe.
/// </summary>
public sealed partial class FileApiKeySource : IApiKeySource
{
    private const long LongestFile = 16 * 1024 * 1024;

    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly ILogger<FileApiKeySource> _logger;
    private volatile ApiKeyTable _table;
    private string _text;
    private string? _told;
    private long _checkedAt;

    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="FormatException">It is faulty.</exception>
    public FileApiKeySource(string path, TimeProvider time, ILogger<FileApiKeySource> logger)
    {
        _path = Path.GetFullPath(path);
        _time = time;
        _logger = logger;
        _text = Read();
        _table = ApiKeyTable.Parse(_text);
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

    /// <summary>What was read is noted only once it is taken: whatever failed is tried again, or a key that was revoked in that moment would live on.</summary>
    private void Refresh()
    {
        Volatile.Write(ref _checkedAt, _time.GetTimestamp());
        try
        {
            var text = Read();
            if (text != _text)
            {
                _table = ApiKeyTable.Parse(text);
                _text = text;
                LogRead(_table.Count, _path);
            }

            _told = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            if (_told == e.Message) return;

            _told = e.Message;
            LogFaulty(_path, e.Message);
        }
    }

    private string Read()
    {
        using var file = new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        if (file.Length > LongestFile) throw new FormatException($"The file of API keys has {file.Length} bytes; the limit is {LongestFile}. Is '{_path}' the right one?");

        using var reader = new StreamReader(file);
        return reader.ReadToEnd();
    }

    [LoggerMessage(LogLevel.Information, "Read {Count} API keys of {Path}.")]
    private partial void LogRead(int count, string path);

    [LoggerMessage(LogLevel.Warning, "API keys of {Path} could not be read, so the ones before stay until they can: {Reason}")]
    private partial void LogFaulty(string path, string reason);
}
