using System.Net;
using Serverless.Cli.Shell;
using Serverless.Tenancy;

namespace Serverless.Cli.Embedded;

/// <summary>What can be seen before anything starts, told by the option that it was given with.</summary>
internal static class StartChecks
{
    /// <exception cref="ToolException">The options do not do.</exception>
    public static void Check(EmbeddedOptions options)
    {
        if (options.Keys is null && !IPAddress.IsLoopback(options.Host))
        {
            throw new ToolException($"--host {options.Host} lets other machines in, so it wants --keys FILE: make one with 'serverless keys create --org ORG --team TEAM --file FILE'.") { ExitCode = ExitCode.Usage };
        }

        if (options.KedaPort is > 0 and var keda && keda == options.Port)
        {
            throw new ToolException($"--keda-port and --port are both {keda}; give KEDA's contract a port of its own.") { ExitCode = ExitCode.Usage };
        }

        if (options.Keys is { } keys) CheckKeys(keys);
        if (options.Data is { } data) CheckData(data);
    }

    private static void CheckKeys(string file)
    {
        try
        {
            if (ApiKeyTable.Parse(File.ReadAllText(file)).Count == 0) throw new ToolException($"--keys {file} holds no key, so nobody could come in; add one with 'serverless keys create --org ORG --team TEAM --file {file}'.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"--keys {file} cannot be read: {exception.Message} Make it with 'serverless keys create --org ORG --team TEAM --file {file}'.", exception);
        }
        catch (FormatException exception)
        {
            throw new ToolException($"--keys {file}: {exception.Message}.", exception);
        }
    }

    private static void CheckData(string folder)
    {
        try
        {
            Directory.CreateDirectory(folder);
            using var probe = new FileStream(Path.Combine(folder, $".probe-{Environment.ProcessId}"), FileMode.Create, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"--data {folder} cannot be written to: {exception.Message} Give a folder that this user may make and write.", exception);
        }
    }
}
