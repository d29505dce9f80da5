using System.Reflection;

namespace Serverless.Cli.Shell;

/// <summary>The version that this is, and of which commit.</summary>
internal static class ToolVersion
{
    private const int CommitLength = 9;

    /// <summary><c>0.1.0 (e97678c12)</c>, or without a commit where it was not built in a clone.</summary>
    public static string Text { get; } = Format(typeof(ToolVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0.0.0");

    internal static string Format(string informational) =>
        informational.Split('+') is [var version, var commit] ? $"{version} ({commit[..Math.Min(commit.Length, CommitLength)]})" : informational;
}
