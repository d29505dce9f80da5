namespace Serverless.Files;

/// <summary>Bounds of what is kept.</summary>
public sealed record FileLimits
{
    /// <summary>Bytes of the longest file.</summary>
    public long MaxFileBytes { get; init; } = 200_000_000;

    /// <summary>Bytes of all files of one team.</summary>
    public long MaxOwnerBytes { get; init; } = 10_000_000_000;

    /// <summary>Files of one team.</summary>
    public int MaxOwnerFiles { get; init; } = 10_000;

    /// <summary>How long files of batches are kept when nobody says.</summary>
    public TimeSpan DefaultExpiry { get; init; } = TimeSpan.FromDays(30);
}
