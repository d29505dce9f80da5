namespace Serverless.Hosting.Manifests;

/// <summary>
/// Says which looks at a folder are worth reading: what two looks agree on, so that a file that is being written is no change. That models are gone is believed once
/// <paramref name="losing"/> more looks agree: a writer that pauses between two documents would take the rest out of service.
/// </summary>
internal sealed class SettledLooks(FolderLook first, int losing)
{
    private readonly RestlessFiles _restless = new(first);
    private FolderLook _seen = first;
    private int _agreed;

    /// <summary>Takes the next look. A look to be read that has lost models, and may not yet, comes again.</summary>
    public SettledLook See(FolderLook look, FolderLook lastRead)
    {
        var (rested, restless) = _restless.Settled(look, lastRead);
        _agreed = rested.Agrees(_seen) ? _agreed + 1 : 0;
        _seen = rested;
        return new SettledLook(rested, _agreed > 0 && !rested.Agrees(lastRead), _agreed >= losing, restless);
    }
}

/// <summary>A look, and what to do with it.</summary>
/// <param name="Look">What was seen; a restless file in it as it was when it was last read.</param>
/// <param name="IsToBeRead">Whether it is new and has settled.</param>
/// <param name="MayLose">Whether models that it has no longer are gone.</param>
/// <param name="Restless">Files that are restless from now on.</param>
internal readonly record struct SettledLook(FolderLook Look, bool IsToBeRead, bool MayLose, IReadOnlyList<string> Restless);
