using System.Globalization;

namespace Serverless.Hosting.Manifests;

/// <summary>A model's own file or folder, as far as a look at it tells whether it is another now.</summary>
/// <param name="Path">Where it lies.</param>
/// <param name="Length">Its bytes; −1: there is none.</param>
/// <param name="WrittenAt">When it was written last.</param>
internal readonly record struct ModelFile(string Path, long Length, DateTime WrittenAt)
{
    private const int MostFiles = 4096;

    public bool Exists => Length >= 0;

    /// <summary>The two as text.</summary>
    public string Version => string.Create(CultureInfo.InvariantCulture, $"{Length} bytes of {WrittenAt:O}");

    public static ModelFile Of(string path) => Directory.Exists(path) ? OfFolder(path) : Final(path) is { Exists: true } file ? new ModelFile(path, file.Length, file.LastWriteTimeUtc) : new ModelFile(path, -1, default);

    /// <summary>Of a folder that holds a model: all its files together, and the newest of them.</summary>
    private static ModelFile OfFolder(string path)
    {
        try
        {
            var (length, written) = (0L, DateTime.MinValue);
            foreach (var file in new DirectoryInfo(path).EnumerateFiles().Take(MostFiles))
            {
                var final = Final(file.FullName);
                if (!final.Exists) continue;
                length += final.Length;
                if (final.LastWriteTimeUtc > written) written = final.LastWriteTimeUtc;
            }

            return new ModelFile(path, length, written);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new ModelFile(path, -1, default);
        }
    }

    /// <summary>What a path leads to over all links: whatever is at their end, or is not there.</summary>
    internal static FileInfo Final(string path)
    {
        var file = new FileInfo(path);
        try
        {
            return file.LinkTarget is null ? file : new FileInfo(file.ResolveLinkTarget(returnFinalTarget: true)!.FullName);
        }
        catch (IOException)
        {
            return new FileInfo(path + "/"); // links in a circle lead nowhere
        }
    }
}
