using System.CommandLine;
using System.Globalization;
using Serverless.Catalog;
using Serverless.Cli.Parsing;
using Serverless.Cli.Shell;
using Serverless.Hosting.Loading;

namespace Serverless.Cli.Commands;

/// <summary><c>serverless models list | pull | rm | verify</c>: the models that lie in this machine's cache, which all processes of it share.</summary>
internal static class ModelsCommand
{
    public static Command Create(Terminal terminal) => new ToolCommand("models", "The models in this machine's cache: list, pull, remove, verify.", "serverless models pull hf://org/name/model.gguf")
    {
        List(terminal),
        Pull(terminal),
        Remove(terminal),
        Verify(terminal),
    };

    private static Option<string?> CacheOption() => new("--cache") { Description = "Folder of the cache; Models__Directory of the environment, or the user's cache folder, if not given.", HelpName = "DIR" };

    private static ToolCommand List(Terminal terminal)
    {
        var (cache, output) = (CacheOption(), OutputOption.Create());
        var command = new ToolCommand("list", "List them.", "serverless models list", "serverless models list --output json") { cache, output };
        command.SetAction(parsed =>
        {
            using var library = ModelLibrary.Open(parsed.GetValue(cache));
            var models = library.Models;
            if (parsed.IsJson(output)) JsonText.Write(terminal, new { data = models, folder = library.Folder });
            else if (models.Count == 0) terminal.Write($"No models in {library.Folder}.");
            else Print(terminal, models);
            return ExitCode.Done;
        });
        return command;
    }

    private static ToolCommand Pull(Terminal terminal)
    {
        var sources = new Argument<string[]>("source") { Description = "hf://org/name[@revision][/file], modelscope://…, https://…, s3://bucket/path, gcs://…, oss://…, ollama://name[:tag].", Arity = ArgumentArity.OneOrMore };
        var cache = CacheOption();
        var command = new ToolCommand(
            "pull",
            "Ask each source what it has now, and bring what is not here; prints the path of each. One that broke off goes on.",
            "serverless models pull hf://org/name/model.gguf",
            "serverless models pull s3://models/llama-3-8b ollama://qwen2.5:0.5b") { sources, cache };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var named = parsed.GetValue(sources)!.Select(source => SourceOf(source, "source")).ToList();
            using var library = ModelLibrary.Open(parsed.GetValue(cache));
            foreach (var source in named)
            {
                using var progress = new PullProgress(terminal, source.Shown);
                var path = await library.PullAsync(source, anew: true, progress, cancellationToken);
                progress.Dispose();
                terminal.Write(path);
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static ToolCommand Remove(Terminal terminal)
    {
        var names = Named();
        var cache = CacheOption();
        var command = new ToolCommand("rm", "Remove them, and what of them is on its way; one that is in use stays.", "serverless models rm hf://org/name/model.gguf") { names, cache };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var library = ModelLibrary.Open(parsed.GetValue(cache));
            var code = ExitCode.Done;
            foreach (var model in parsed.GetValue(names)!.SelectMany(name => Find(library, name)).ToList())
            {
                if (await library.RemoveAsync(model, cancellationToken))
                {
                    terminal.Write($"{model.Source} is removed.");
                    continue;
                }

                terminal.Fault($"{model.Source} is in use or being pulled, and stays; stop what uses it first.");
                code = ExitCode.Failed;
            }

            return code;
        });
        return command;
    }

    private static ToolCommand Verify(Terminal terminal)
    {
        var names = Named();
        names.Arity = ArgumentArity.ZeroOrMore;
        var cache = CacheOption();
        var command = new ToolCommand("verify", "Read every byte of them again, all if none is named; what is damaged is taken out, and pulled anew by the next load.", "serverless models verify") { names, cache };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var library = ModelLibrary.Open(parsed.GetValue(cache));
            var code = ExitCode.Done;
            var chosen = parsed.GetValue(names) is { Length: > 0 } given ? given.SelectMany(name => Find(library, name)).ToList() : library.Models;
            foreach (var model in chosen.Where(model => model.IsWhole))
            {
                var damaged = await library.VerifyAsync(model, cancellationToken);
                if (damaged.Count == 0)
                {
                    terminal.Write($"{model.Source} is whole.");
                    continue;
                }

                var held = damaged.Any(file => file.IsHeld) ? " It is in use: what runs on it keeps the damaged bytes until it is started again." : "";
                terminal.Fault($"{model.Source} is damaged: {string.Join(", ", damaged.Select(file => file.Name))}.{held} The next load pulls it anew, or 'serverless models pull {model.Source}'.");
                code = ExitCode.Failed;
            }

            return code;
        });
        return command;
    }

    private static Argument<string[]> Named() => new("model") { Description = "Its source, or its key, as list shows them.", Arity = ArgumentArity.OneOrMore };

    private static IReadOnlyList<LibraryModel> Find(ModelLibrary library, string name) => library.Find(name) is { Count: > 0 } found
        ? found
        : throw new ToolException($"'{name}' is not in {library.Folder}. {NearName.Hint(name, [.. library.Models.Select(model => model.Source)])}");

    /// <exception cref="ToolException">It is none.</exception>
    public static ModelSource SourceOf(string text, string what) => ModelUri.Parse(text, out var fault) ?? throw new ToolException($"{what} is '{text}', which {fault}.") { ExitCode = ExitCode.Usage };

    private static void Print(Terminal terminal, IReadOnlyList<LibraryModel> models) => terminal.WriteTable(Columns.Lines(
        ["key", "source", "bytes", "files", "state", "last used"],
        models.Select(model => new[]
        {
            model.Key,
            model.Source,
            model.Bytes.ToString("N0", CultureInfo.InvariantCulture),
            model.Files.ToString(CultureInfo.InvariantCulture),
            model.IsWhole ? "whole" : "on its way",
            terminal.Local(model.UsedAt),
        }),
        2..4,
        width: null));
}
