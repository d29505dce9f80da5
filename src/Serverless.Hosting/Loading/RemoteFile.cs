namespace Serverless.Hosting.Loading;

/// <summary>One file of a source, as its listing tells of it.</summary>
/// <param name="Name">Its path in the model, checked by <see cref="RemoteNames"/>.</param>
/// <param name="Size">Its bytes; null where nobody says before it is asked for.</param>
/// <param name="Address">Where it is now; asked anew for each request, for a signature ages.</param>
internal sealed record RemoteFile(string Name, long? Size, Func<Uri> Address)
{
    /// <summary>Lower-case hexadecimal; null where the source does not tell.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Git's name of its bytes, of files that a hub keeps in git itself; null where it has none.</summary>
    public string? GitSha1 { get; init; }

    /// <summary>What tells its bytes from others of its name (an ETag), where no checksum does.</summary>
    public string? Validator { get; init; }

    /// <summary>A hash of what else of its address tells it from others, beyond its path; null: nothing does, for signatures tell nothing.</summary>
    public string? Query { get; init; }

    /// <summary>Sent to the server of its own address alone, never to another that this leads to.</summary>
    public string? Token { get; init; }

    /// <summary>What tells its bytes from those of any other file, as far as is known before they are here.</summary>
    public string Identity => Sha256 ?? $"{Address().GetLeftPart(UriPartial.Path)} {Query}{GitSha1} {Size} {Validator}";
}

/// <summary>What a source holds.</summary>
/// <param name="Revision">What the revision that was asked for is now; null where the source has none.</param>
/// <param name="Files">Its files.</param>
internal sealed record Listing(string? Revision, IReadOnlyList<RemoteFile> Files);

/// <summary>Who is told of what comes of a file.</summary>
/// <param name="Came">Bytes came; fewer than none: they are of no use after all.</param>
/// <param name="Room">Makes room for a file of which so many bytes are known by now, where its listing does not say.</param>
internal sealed record Arrival(Action<long> Came, Func<long, CancellationToken, Task> Room);
