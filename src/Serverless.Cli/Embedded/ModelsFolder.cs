namespace Serverless.Cli.Embedded;

/// <summary>Where manifests are when nobody says: <c>models</c> here, or in a folder above this program (a clone's).</summary>
internal static class ModelsFolder
{
    private const string Name = "models";

    public static string Find()
    {
        if (HasManifests(Path.GetFullPath(Name))) return Path.GetFullPath(Name);

        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (HasManifests(Path.Combine(folder.FullName, Name))) return Path.Combine(folder.FullName, Name);
        }

        return Path.GetFullPath(Name);
    }

    private static bool HasManifests(string folder) => Directory.Exists(folder) && Directory.EnumerateFiles(folder, "*.yaml", SearchOption.AllDirectories).Any();
}
