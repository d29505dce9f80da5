using System.CommandLine;
using Microsoft.Extensions.Hosting;
using Serverless.Cli.Embedded;
using Spectre.Console;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless up</c>: gateway, dispatchers, scaler and replicas in this process, until it is stopped.</summary>
internal static class UpCommand
{
    public static Option<string?> ManifestsOption() => new("--manifests") { Description = "Folder of OpenModel and Playground manifests; the clone's models/ if not given." };

    public static Command Create(IAnsiConsole console)
    {
        var port = new Option<int>("--port") { Description = "Port on 127.0.0.1; 0 takes a free one.", DefaultValueFactory = _ => 8080 };
        var manifests = ManifestsOption();
        var cooldown = new Option<TimeSpan>("--cooldown")
        {
            Description = "How long a pool stays up after its last work: 90s, 5m, 1h.",
            DefaultValueFactory = _ => TimeSpan.FromMinutes(5),
            CustomParser = DurationText.Parse,
        };
        var data = new Option<string>("--data") { Description = "Folder of what outlives this process: promised requests, results, dead letters.", DefaultValueFactory = _ => DataFolder.OfUser };
        var keys = new Option<string?>("--keys") { Description = "File of API keys, made with 'serverless keys create'; without it no key is asked for." };
        var command = new Command("up", "Serve the models of a folder on this machine, each from zero.") { port, manifests, cooldown, data, keys };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            await using var host = EmbeddedHost.Build(new EmbeddedOptions
            {
                Port = parsed.GetValue(port),
                Manifests = parsed.GetValue(manifests),
                Cooldown = parsed.GetValue(cooldown),
                Data = parsed.GetValue(data),
                Keys = parsed.GetValue(keys),
            });
            await host.StartAsync(cancellationToken);
            Greeting.Print(console, host);
            using var stopping = cancellationToken.Register(() => console.WriteLine("Stopping: answers that run are let end; Ctrl+C again cuts them."));
            await host.WaitForShutdownAsync(cancellationToken);
            return 0;
        });
        return command;
    }
}
