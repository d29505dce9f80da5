namespace Serverless.Cli.Embedded;

/// <summary>Where the embedded shape keeps what outlives it: a folder that was named, or a temporary one that goes with the process.</summary>
internal sealed class DataFolder(string? named) : IDisposable
{
    private readonly string? _temporary = named is null ? Directory.CreateTempSubdirectory("serverless-").FullName : null;

    /// <summary>Where <c>serverless up</c> keeps it when nobody says: with the clone, so that two clones share nothing; of a tool, with the user.</summary>
    public static string Default => Clone.Root is { } clone ? System.IO.Path.Combine(clone, ".data") : OfUser;

    public string Path => named ?? _temporary!;

    private static string OfUser
    {
        get
        {
            var data = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
            return data.Length > 0 ? System.IO.Path.Combine(data, "serverless") : System.IO.Path.GetFullPath("serverless-data");
        }
    }

    public void Dispose()
    {
        if (_temporary is not null) Directory.Delete(_temporary, recursive: true);
    }
}
