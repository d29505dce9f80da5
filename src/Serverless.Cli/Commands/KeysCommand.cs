using System.CommandLine;
using Serverless.Tenancy;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless keys create</c>: makes an API key. It is shown once; what is kept is the line with its hash.</summary>
internal static class KeysCommand
{
    public static Command Create(TextWriter output)
    {
        var organization = new Option<string>("--org") { Description = "Organization it belongs to.", Required = true };
        var team = new Option<string>("--team") { Description = "Team of it; keys of a team see each other's requests.", Required = true };
        var admin = new Option<bool>("--admin") { Description = "Opens the admin routes too." };
        var lane = new Option<string?>("--lane") { Description = "Highest lane of its requests: realtime (service_tier 'priority'), interactive or batch." };
        var create = new Command("create", "Make an API key: prints it, and the line for the file of keys.") { organization, team, admin, lane };
        create.SetAction(parsed =>
        {
            var (key, line) = ApiKeyTable.Create(parsed.GetValue(organization)!, parsed.GetValue(team)!, parsed.GetValue(admin), parsed.GetValue(lane));
            output.WriteLine($"key, shown this once: {key}");
            output.WriteLine($"line for the file:    {line}");
        });
        return new Command("keys", "API keys.") { create };
    }
}
