namespace Serverless.EndToEndTests.Parts;

/// <summary>The clone that these tests were built from.</summary>
internal static class Checkout
{
    public static string Root { get; } = Find();

    /// <summary>Copies <c>dapr.yaml</c> and <c>components/</c> to a fresh folder, for a sidecar to run in; only the addresses of the parts differ.</summary>
    public static string CopyComponents(string redisHost, string rabbitMq)
    {
        var folder = Directory.CreateTempSubdirectory("serverless-dapr-").FullName;
        File.Copy(Path.Combine(Root, "dapr.yaml"), Path.Combine(folder, "dapr.yaml"));
        foreach (var file in Directory.GetFiles(Path.Combine(Root, "components"), "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(folder, Path.GetRelativePath(Root, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        var secrets = Path.Combine(folder, "components", "laptop", "secrets.json");
        File.WriteAllText(secrets, File.ReadAllText(secrets).Replace("127.0.0.1:6379", redisHost, StringComparison.Ordinal).Replace("amqp://guest:guest@127.0.0.1:5672", rabbitMq, StringComparison.Ordinal));
        return folder;
    }

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Serverless.sln"))) return folder.FullName;
        }

        throw new InvalidOperationException($"No Serverless.sln above {AppContext.BaseDirectory}: these tests run from the clone they were built in.");
    }
}
