namespace Serverless.Cli.Shell;

/// <summary>What the process's end says; docs/cli.md lists them.</summary>
internal static class ExitCode
{
    /// <summary>Done; of <c>up</c>: stopped as it was told to.</summary>
    public const int Done = 0;

    /// <summary>It failed, and said why on standard error.</summary>
    public const int Failed = 1;

    /// <summary>The command line is not understood; nothing was done.</summary>
    public const int Usage = 2;

    /// <summary>Ended by Ctrl+C; of <c>up</c>: by the second one, which cuts.</summary>
    public const int Interrupted = 130;

    /// <summary>Ended by SIGTERM; of <c>up</c>: by the second signal, which cuts.</summary>
    public const int Terminated = 143;
}
