namespace Serverless;

/// <summary>What the parts shared with the end-to-end tests wait at most.</summary>
internal static class TestTimeouts
{
    public static readonly TimeSpan Default = TimeSpan.FromSeconds(60);
}
