namespace Serverless.Tests;

/// <summary>Where this clone is: tests read its project files, models and data.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    public static string ModelPath => Path.Combine(Root, "models", "smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf");

    public static string Oracle(string name) => Path.Combine(Root, "tests", "data", "oracle", name);

    /// <summary>What lies in the folder beside the clone that sessions and CI share (<c>SERVERLESS_SHARED</c>).</summary>
    public static string Shared(string name) => Path.Combine(Environment.GetEnvironmentVariable("SERVERLESS_SHARED") ?? Path.Combine(Root, "..", "shared"), name);

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Serverless.sln"))) return folder.FullName;
        }

        throw new InvalidOperationException($"No Serverless.sln above {AppContext.BaseDirectory}; run the tests inside a clone.");
    }
}
