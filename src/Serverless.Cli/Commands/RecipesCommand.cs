using System.CommandLine;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Catalog.Recipes;
using Serverless.Cli.Embedded;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Serverless.Hosting.Manifests;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless recipes list | show | render</c>: how engines run in containers, and what comes of it for the models of a folder.</summary>
internal static class RecipesCommand
{
    public static Command Create(Terminal terminal) => new ToolCommand("recipes", "How engines run in containers: list, show one, render the models of a folder.", "serverless recipes render")
    {
        List(terminal),
        Show(terminal),
        Render(terminal),
    };

    private static ToolCommand List(Terminal terminal)
    {
        var output = OutputOption.Create();
        var command = new ToolCommand("list", "List those that are shipped, with their configs.", "serverless recipes list") { output };
        command.SetAction(parsed =>
        {
            var all = ShippedRecipes.Book.All.ToList();
            if (parsed.IsJson(output)) JsonText.Write(terminal, new { recipes = all.Select(recipe => new { recipe.Name, recipe.Families, image = Image(recipe), configs = Configs(recipe) }) });
            else terminal.WriteTable(Columns.Lines(["recipe", "images", "image", "configs"], all.Select(recipe => new[] { recipe.Name, string.Join(", ", recipe.Families), Image(recipe), string.Join(", ", Configs(recipe)) }), 0..0, width: null));
            return ExitCode.Done;
        });
        return command;
    }

    private static ToolCommand Show(Terminal terminal)
    {
        var name = new Argument<string>("recipe") { Description = "Its name, as list shows it." };
        var command = new ToolCommand("show", "Print one as it is written: put it among your manifests, under a name of its own or the same, to change it.", "serverless recipes show vllm > my-vllm.yaml") { name };
        command.SetAction(parsed =>
        {
            var wanted = parsed.GetValue(name)!;
            var text = ShippedRecipes.Texts.GetValueOrDefault(wanted) ?? throw new ToolException($"There is no recipe '{wanted}'. {NearName.Hint(wanted, [.. ShippedRecipes.Texts.Keys])}");
            terminal.WriteAnswer(text);
            return ExitCode.Done;
        });
        return command;
    }

    private static ToolCommand Render(Terminal terminal)
    {
        var (manifests, output) = (UpCommand.ManifestsOption(), OutputOption.Create());
        var pool = new Option<string?>("--pool") { Description = "This pool alone.", HelpName = "NAME" };
        var command = new ToolCommand("render", "Show the container of each pool: image, command line, environment, resources.", "serverless recipes render", "serverless recipes render --output json") { manifests, pool, output };
        command.SetAction(parsed =>
        {
            var catalog = new FileCatalogSource(ModelsFolder.Of(parsed.GetValue(manifests)), EngineServices.KnownEngines()).Current;
            var wanted = parsed.GetValue(pool);
            var pools = catalog.Pools.Where(one => wanted is null || one.Name.Value == wanted).ToList();
            if (pools.Count == 0 && wanted is not null) throw new ToolException($"There is no pool '{wanted}'. {NearName.Hint(wanted, [.. catalog.Pools.Select(one => one.Name.Value)])}");
            if (parsed.IsJson(output)) JsonText.Write(terminal, new { pools = pools.Select(one => new { name = one.Name.Value, @class = one.Flavor.AcceleratorClass, container = one.Flavor.Container is { } container ? Json(container) : null }) });
            else foreach (var line in pools.SelectMany(Lines)) terminal.Write(line);
            return ExitCode.Done;
        });
        return command;
    }

    private static string Image(Recipe recipe) => recipe.Version is { } version ? $"{recipe.Image}:{version}" : recipe.Image ?? "";

    private static IEnumerable<string> Configs(Recipe recipe) => recipe.Configs.Select(config => config.Name).Distinct();

    private static IEnumerable<string> Lines(Pool pool) => pool.Flavor.Container is { } container
        ? [$"{pool.Name} on {pool.Flavor.AcceleratorClass}", .. ContainerText.Lines(container).Select(line => $"  {line}"), ""]
        : [$"{pool.Name} on {pool.Flavor.AcceleratorClass}: no container ({pool.Model.Backend})", ""];

    private static object Json(Container container) => new
    {
        container.Recipe,
        container.Configs,
        container.Image,
        container.Command,
        container.Args,
        workerArgs = container.Hosts > 1 ? container.WorkerArgs : null,
        envs = container.Envs.Select(env => new { env.Name, env.Value, valueFrom = env.From is { } from ? JsonNode.Parse(from) : null }),
        container.Resources,
        container.SharedMemorySize,
        container.NodeSelector,
        container.Port,
        container.Hosts,
        hooks = container.Hooks.ToDictionary(hook => hook.Key, hook => JsonNode.Parse(hook.Value)),
    };
}
