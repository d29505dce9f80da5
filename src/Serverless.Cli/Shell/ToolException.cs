namespace Serverless.Cli.Shell;

/// <summary>A fault that its message tells whole: what was given, what is wrong with it, and what to do.</summary>
internal sealed class ToolException(string message, Exception? innerException = null) : Exception(message, innerException)
{
    public int ExitCode { get; init; } = Shell.ExitCode.Failed;
}
