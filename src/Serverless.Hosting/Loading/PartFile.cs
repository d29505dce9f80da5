using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace Serverless.Hosting.Loading;

/// <summary>
/// A file that is being pulled: its bytes, and beside them what of it is here, so that the next one goes on. What was written before the machine went down is not trusted: nobody knows whether it
/// reached the disk. Thread-safe.
/// </summary>
internal sealed class PartFile : IDisposable
{
    /// <summary>Bytes between two notes of what is here.</summary>
    private const long NoteEvery = 64 << 20;

    private static readonly string Boot = BootId();

    private readonly Lock _lock = new();
    private readonly string _notePath;
    private readonly List<Span> _here;
    private long _unnoted;

    private PartFile(string path, Note note, SafeFileHandle handle)
    {
        (Path, _notePath, Handle) = (path, path + ".json", handle);
        (Length, Validator, _here) = (note.Length, note.Validator, [.. note.Here]);
    }

    public string Path { get; }

    public SafeFileHandle Handle { get; }

    /// <summary>Its bytes once it is whole; null: nobody knows.</summary>
    public long? Length { get; private set; }

    /// <summary>What tells these bytes from others of the name; null: nothing does, and it is not gone on with.</summary>
    public string? Validator { get; }

    /// <summary>Bytes that are here.</summary>
    public long Count
    {
        get
        {
            lock (_lock) return _here.Sum(span => span.To - span.From);
        }
    }

    /// <summary>Bytes from the beginning on that are here.</summary>
    public long Prefix
    {
        get
        {
            lock (_lock) return _here is [{ From: 0, To: var to }, ..] ? to : 0;
        }
    }

    public bool IsWhole => Length is { } length && Prefix == length;

    /// <summary>Begins anew.</summary>
    /// <exception cref="IOException">The disk is full, or not to be written.</exception>
    public static PartFile Create(string path, long? length, string? validator)
    {
        Delete(path);
        return new PartFile(path, new Note(length, validator, Boot, []), File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Read, FileOptions.None, length ?? 0));
    }

    /// <summary>What an earlier one left; null where it left nothing that can be gone on with.</summary>
    public static PartFile? Open(string path)
    {
        try
        {
            if (!File.Exists(path) || !File.Exists(path + ".json")) return null;
            if (JsonSerializer.Deserialize<Note>(File.ReadAllBytes(path + ".json")) is not { Length: { } length, Here: { } here } note || note.Boot != Boot) return null;

            var at = 0L;
            foreach (var span in here)
            {
                if (span.From < at || span.To <= span.From || span.To > length) return null;
                at = span.To;
            }

            return new PartFile(path, note, File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read));
        }
        catch (Exception exception) when (exception is JsonException or IOException)
        {
            return null;
        }
    }

    public static void Delete(string path)
    {
        File.Delete(path);
        File.Delete(path + ".json");
    }

    /// <summary>What is missing, in pieces of at most so many bytes, in their order.</summary>
    public IReadOnlyList<Span> Missing(long most)
    {
        var missing = new List<Span>();
        lock (_lock)
        {
            var at = 0L;
            foreach (var span in _here.Append(new Span(Length!.Value, Length.Value)))
            {
                for (; at < span.From; at = missing[^1].To) missing.Add(new Span(at, Math.Min(span.From, at + most)));
                at = span.To;
            }
        }

        return missing;
    }

    /// <summary>Bytes came.</summary>
    public async ValueTask WriteAsync(long at, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await RandomAccess.WriteAsync(Handle, bytes, at, cancellationToken);
        lock (_lock)
        {
            Add(new Span(at, at + bytes.Length));
            _unnoted += bytes.Length;
            if (_unnoted < NoteEvery) return;
        }

        Save();
    }

    /// <summary>It ends where it ends.</summary>
    public void EndAt(long length) => Length = length;

    /// <summary>Notes what is here. Of a file that cannot be gone on with there is nothing to note.</summary>
    public void Save()
    {
        lock (_lock)
        {
            _unnoted = 0;
            if (Validator is null || Length is null) return;
            var temporary = _notePath + ".new";
            File.WriteAllBytes(temporary, JsonSerializer.SerializeToUtf8Bytes(new Note(Length, Validator, Boot, _here)));
            File.Move(temporary, _notePath, overwrite: true);
        }
    }

    public void Dispose() => Handle.Dispose();

    private void Add(Span span)
    {
        var at = _here.FindIndex(other => other.To >= span.From);
        if (at < 0)
        {
            _here.Add(span);
            return;
        }

        while (at < _here.Count && _here[at].From <= span.To)
        {
            span = new Span(Math.Min(span.From, _here[at].From), Math.Max(span.To, _here[at].To));
            _here.RemoveAt(at);
        }

        _here.Insert(at, span);
    }

    private static string BootId()
    {
        try
        {
            return File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    /// <summary>Bytes from one place to before another.</summary>
    internal readonly record struct Span(long From, long To);

    private sealed record Note(long? Length, string? Validator, string Boot, IReadOnlyList<Span> Here);
}
