namespace Serverless.EndToEndTests;

/// <summary>One limit for every wait on a signal: missing evidence after a minute is a failure, whatever the machine.</summary>
internal static class TestTimeouts
{
    public static readonly TimeSpan Default = TimeSpan.FromSeconds(60);
}
