namespace Serverless.Benchmarks;

/// <summary>The rig's programs, by <c>RIG</c>; null where there is no rig.</summary>
internal static class Rig
{
    public static string Root { get; } = FindRoot();

    public static async Task<string?> PathAsync(string program)
    {
        var rig = Environment.GetEnvironmentVariable("RIG");
        return File.Exists(rig) ? (await Rounds.RunProgramAsync(rig, "path", program)).Trim() : null;
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Serverless.sln"))) folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException($"No Serverless.sln above {AppContext.BaseDirectory}; run the benchmarks inside a clone.");
    }
}
