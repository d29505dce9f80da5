namespace Serverless;

/// <summary>What the parts shared with the end-to-end tests wait at most.</summary>
internal static class TestTimeouts
{
    public static readonly TimeSpan Default = TimeSpan.FromSeconds(60);

    /// <summary>Longest that a program may take to come up.</summary>
    public static readonly TimeSpan Start = TimeSpan.FromMinutes(3);
}
