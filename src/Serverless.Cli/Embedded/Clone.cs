namespace Serverless.Cli.Embedded;

/// <summary>The clone that this program was built in; none where it was installed as a tool.</summary>
internal static class Clone
{
    public static string? Root { get; } = Find(AppContext.BaseDirectory);

    private static string? Find(string from)
    {
        for (var folder = new DirectoryInfo(from); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Serverless.sln"))) return folder.FullName;
        }

        return null;
    }
}
