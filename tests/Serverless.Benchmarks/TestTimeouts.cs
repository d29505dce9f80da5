namespace Serverless;

/// <summary>What the parts shared with the end-to-end tests wait at most.</summary>
internal static class TestTimeouts
{
    public static readonly TimeSpan Default = TimeSpan.FromSeconds(60);

    public static readonly TimeSpan Start = TimeSpan.FromMinutes(3);
}
