using System.CommandLine;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Serverless.Requests;
using Serverless.Tenancy;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless keys create</c>: makes an API key. It is shown once; what is kept is the line with its hash.</summary>
internal static class KeysCommand
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public static Command Create(Terminal terminal)
    {
        var organization = new Option<string>("--org") { Description = "Organization it belongs to.", HelpName = "NAME", Required = true };
        var team = new Option<string>("--team") { Description = "Team of it; keys of a team see each other's requests.", HelpName = "NAME", Required = true };
        var admin = new Option<bool>("--admin") { Description = "Opens the admin routes too." };
        var lane = new Option<string?>("--lane") { Description = "Highest lane of its requests: realtime (service_tier 'priority'), interactive or batch; interactive if not given." };
        var file = new Option<string?>("--file") { Description = "Add the line to this file, as 'serverless up --keys' reads it; made where there is none.", HelpName = "FILE" };
        var create = new ToolCommand(
            "create",
            "Make an API key: prints it, and the line for the file of keys.",
            "serverless keys create --org acme --team research",
            "serverless keys create --org acme --team ops --admin --file .data/keys") { organization, team, admin, lane, file };
        lane.AcceptOnlyFromAmong([.. Enum.GetValues<Lane>().Select(each => each.Name())]);
        create.SetAction(parsed =>
        {
            var (key, line) = Make(parsed.GetValue(organization)!, parsed.GetValue(team)!, parsed.GetValue(admin), parsed.GetValue(lane));
            if (parsed.GetValue(file) is { } path) Add(path, line);
            var output = terminal.Output.Profile.Out.Writer;
            output.WriteLine($"key, shown this once: {key}");
            output.WriteLine(parsed.GetValue(file) is { } kept ? $"its line is in:       {kept}" : $"line for the file:    {line}");
            return ExitCode.Done;
        });
        return new ToolCommand("keys", "Make API keys.", "serverless keys create --org acme --team research") { create };
    }

    private static (string Key, string Line) Make(string organization, string team, bool admin, string? lane)
    {
        try
        {
            return ApiKeyTable.Create(organization, team, admin, lane);
        }
        catch (FormatException exception)
        {
            throw new ToolException($"--org or --team will not do: {exception.Message}", exception) { ExitCode = ExitCode.Usage };
        }
    }

    private static void Add(string path, string line)
    {
        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } folder) Directory.CreateDirectory(folder);
            var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.Read };
            if (!OperatingSystem.IsWindows()) options.UnixCreateMode = OwnerOnly;
            using var file = new FileStream(path, options);
            if (file.Length > 0)
            {
                file.Seek(-1, SeekOrigin.End);
                if (file.ReadByte() != '\n') line = $"\n{line}"; // an editor may have left the last line unended
            }

            using var writer = new StreamWriter(file);
            writer.Write($"{line}\n");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"--file {path} cannot be written: {exception.Message} Give another.", exception);
        }
    }
}
