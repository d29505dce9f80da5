using System.CommandLine;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Cli.Embedded;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Serverless.Demand;
using Serverless.Gateway.Requests;
using Serverless.Hosting.Loading;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless up</c>: gateway, dispatchers, scaler and replicas in this process, until it is stopped.</summary>
internal static class UpCommand
{
    private const int LastPort = 65_535;

    public static Option<string?> ManifestsOption() => new("--manifests") { Description = "Folder of OpenModel and Playground manifests; models/ here, or the clone's, if not given.", HelpName = "DIR" };

    public static Command Create(Terminal terminal)
    {
        var port = new Option<int>("--port") { Description = "HTTP port; 0 takes a free one.", HelpName = "PORT", DefaultValueFactory = _ => 8080, CustomParser = Numbers.Between(0, LastPort, ", 0 for a free one") };
        var host = new Option<IPAddress>("--host")
        {
            Description = "Address to listen on: 0.0.0.0 for all of this machine's. Anything but this machine itself wants --keys.",
            HelpName = "ADDRESS",
            DefaultValueFactory = _ => IPAddress.Loopback,
            CustomParser = result =>
            {
                if (Addresses.Listen(result.Tokens[^1].Value) is { } address) return address;

                result.AddError($"--host is '{result.Tokens[^1].Value}', which is no IP address; give one of this machine's, or 0.0.0.0 for all of them.");
                return null;
            },
        };
        var manifests = ManifestsOption();
        var model = new Option<string?>("--model") { Description = "One model instead, pulled first: hf://org/name/model.gguf, https://…, s3://…, ollama://…; needs no manifests.", HelpName = "SOURCE" };
        var cooldown = new Option<TimeSpan>("--cooldown") { Description = "How long a pool stays up after its last work: 90s, 5m, 1h.", HelpName = "TIME", DefaultValueFactory = _ => TimeSpan.FromMinutes(5), CustomParser = DurationText.Parse };
        var data = new Option<string?>("--data") { Description = "Folder of what outlives this process: promised requests, results, dead letters; .data of the clone, or of the user, if not given.", HelpName = "DIR" };
        var keys = new Option<string?>("--keys") { Description = "File of API keys, made with 'serverless keys create'; without it no key is asked for.", HelpName = "FILE" };
        var keda = new Option<int?>("--keda-port") { Description = "Port of KEDA's contract (gRPC) on 127.0.0.1; 0 takes a free one, off if not given.", HelpName = "PORT", CustomParser = Numbers.MaybeBetween(0, LastPort, ", 0 for a free one") };
        var command = new ToolCommand(
            "up",
            "Serve the models of a folder on this machine, each from zero.",
            "serverless up",
            "serverless up --port 9000 --cooldown 30s --manifests ./my-models",
            "serverless up --model hf://org/name/model.gguf",
            "serverless up --host 0.0.0.0 --keys .data/keys") { port, host, manifests, model, cooldown, data, keys, keda };
        command.Validators.Add(result =>
        {
            if (result.GetResult(model) is not null && result.GetResult(manifests) is not null) result.AddError("--model and --manifests do not go together: a model is served by itself, or those of a folder.");
        });
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var one = parsed.GetValue(model) is { } source ? await PullAsync(terminal, source, cancellationToken) : null;
            var options = new EmbeddedOptions
            {
                Port = parsed.GetValue(port),
                Host = parsed.GetValue(host)!,
                KedaPort = parsed.GetValue(keda),
                Manifests = one?.Folder ?? ModelsFolder.Of(parsed.GetValue(manifests)),
                Cooldown = parsed.GetValue(cooldown),
                Data = parsed.GetValue(data) ?? DataFolder.Default,
                Keys = parsed.GetValue(keys),
            };
            return await ServeAsync(terminal, options, cancellationToken);
        });
        return command;
    }

    /// <summary>Here before it is served: so its context and tokens are known from the first request on.</summary>
    private static async Task<OneModel> PullAsync(Terminal terminal, string text, CancellationToken cancellationToken)
    {
        var source = ModelsCommand.SourceOf(text, "--model");
        using var library = ModelLibrary.Open(null);
        using var progress = new PullProgress(terminal, source.Shown);
        await library.PullAsync(source, anew: false, progress, cancellationToken);
        return new OneModel(source);
    }

    private static async Task<int> ServeAsync(Terminal terminal, EmbeddedOptions options, CancellationToken cancellationToken)
    {
        StartChecks.Check(options);
        await using var host = EmbeddedHost.Build(options);
        await EmbeddedHost.StartAsync(host, options, cancellationToken);
        terminal.WriteWhole(console => Greeting.Print(console, host, options));
        using var stopping = cancellationToken.Register(() => Say(terminal, Stopping(host.Services)));
        await host.WaitForShutdownAsync(cancellationToken);
        Say(terminal, "Stopped.");
        return ExitCode.Done;
    }

    /// <summary>What is waited for, as the dispatchers last said it.</summary>
    internal static string Stopping(IServiceProvider services)
    {
        var demand = services.GetRequiredService<IDemandFeed>();
        var open = services.GetRequiredService<ICatalogSource>().Current.Models.Select(model => demand.Latest(model.Name)).Sum(work => work is null ? 0 : work.RunningRequests + work.PendingRequests);
        var limit = services.GetRequiredService<IOptions<StreamingOptions>>().Value.DrainTimeout;
        return string.Create(CultureInfo.InvariantCulture, $"Stopping: {(open == 0 ? "what still runs" : open == 1 ? "1 request" : $"{open} requests")} may end, within {limit.TotalSeconds:0.#} s; Ctrl+C again cuts.");
    }

    private static void Say(Terminal terminal, string line)
    {
        terminal.Output.Profile.Out.Writer.WriteLine(line);
        terminal.Output.Profile.Out.Writer.Flush();
    }
}
