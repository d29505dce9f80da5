namespace Serverless.Files;

/// <summary>Names bytes in an <see cref="IFileStore"/>.</summary>
public readonly record struct FileKey
{
    /// <summary>Characters of the longest name: file systems take 255 bytes.</summary>
    public const int LongestName = 240;

    private const int LongestRoom = 32;

    /// <param name="room">Whose bytes they are: <c>files</c>, <c>batches</c>, …; lower case letters and dashes. Each is listed and swept by its owner alone.</param>
    /// <param name="name">Unique within the room: letters, digits, <c>. _ - ~</c>, and no dot in front.</param>
    /// <exception cref="ArgumentException">A part has other characters, none, or too many.</exception>
    public FileKey(string room, string name)
    {
        ArgumentNullException.ThrowIfNull(room);
        ArgumentNullException.ThrowIfNull(name);
        if (room.Length is 0 or > LongestRoom || !room.All(character => character is (>= 'a' and <= 'z') or '-')) throw new ArgumentException($"Room '{room}' is not 1 to {LongestRoom} lower case letters and dashes.", nameof(room));
        if (!IsName(name)) throw new ArgumentException($"Name '{name}' is not 1 to {LongestName} of letters, digits, '.', '_', '-' and '~', without a dot in front.", nameof(name));
        (Room, Name) = (room, name);
    }

    /// <summary>Whose bytes they are.</summary>
    public string Room { get; }

    /// <summary>Unique within the room.</summary>
    public string Name { get; }

    /// <summary>Whether a text may be a name.</summary>
    public static bool IsName(string text) =>
        text is { Length: > 0 and <= LongestName } && text[0] != '.' && text.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-' or '~');

    /// <inheritdoc/>
    public override string ToString() => $"{Room}/{Name}";
}
