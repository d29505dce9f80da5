namespace Serverless.Tests.Files;

/// <summary>A folder of one test.</summary>
internal sealed class TestFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("serverless-files-").FullName;

    /// <summary>All of its files, by their paths below it.</summary>
    public IReadOnlyList<string> Files => [.. Directory.GetFiles(Path, "*", SearchOption.AllDirectories).Select(file => System.IO.Path.GetRelativePath(Path, file))];

    /// <summary>A copy as it is now: what another start would find if the power went.</summary>
    public TestFolder Copy()
    {
        var copy = new TestFolder();
        foreach (var file in Files)
        {
            var target = System.IO.Path.Combine(copy.Path, file);
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
            using var source = new FileStream(System.IO.Path.Combine(Path, file), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var destination = File.Create(target);
            source.CopyTo(destination);
        }

        return copy;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
