using Serverless.Cli.Shell;

namespace Serverless.Cli.Embedded;

/// <summary>Where manifests are: in the folder that was named, or <c>models</c> here, or the clone's.</summary>
internal static class ModelsFolder
{
    private const string Name = "models";

    /// <exception cref="ToolException">There are none; the message says how to give them.</exception>
    public static string Of(string? named) => named is not null ? Named(named) : Find(Environment.CurrentDirectory, Clone.Root);

    internal static string Find(string here, string? clone)
    {
        if (HasManifests(Path.Combine(here, Name))) return Path.Combine(here, Name);
        if (clone is not null && HasManifests(Path.Combine(clone, Name))) return Path.Combine(clone, Name);

        throw new ToolException($"There is nothing to serve: {Path.Combine(here, Name)} holds no manifests{(clone is null ? ", and the tool carries none" : "")}. Give a folder of them with --manifests DIR.");
    }

    private static string Named(string folder) => File.Exists(folder) || Directory.Exists(folder)
        ? Directory.Exists(folder) ? folder : throw new ToolException($"--manifests {folder} is a file; give the folder that it is in.")
        : throw new ToolException($"--manifests {folder} is not there; give a folder of OpenModel and Playground manifests.");

    private static bool HasManifests(string folder) =>
        Directory.Exists(folder) && Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Any(file => Path.GetExtension(file) is ".yaml" or ".yml");
}
