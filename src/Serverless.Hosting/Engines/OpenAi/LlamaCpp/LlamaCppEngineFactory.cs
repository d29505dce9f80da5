using System.ComponentModel;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Engines;
using Serverless.Hosting.Engines.Processes;

namespace Serverless.Hosting.Engines.OpenAi.LlamaCpp;

/// <summary>Engine <c>llamacpp</c>: <c>llama-server</c> as a child of the worker, over a GGUF file of this machine; parameters: <see cref="LlamaCppParams"/>.</summary>
internal sealed class LlamaCppEngineFactory(TimeProvider time, ILoggerFactory loggers) : IEngineFactory
{
    private const string Program = "llama-server";
    private const int DefaultContext = 4096;

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    private readonly LlamaCppDialect _dialect = new();
    private readonly ILogger _logger = loggers.CreateLogger<LlamaCppEngineFactory>();

    public EngineDescriptor Descriptor => _dialect.Descriptor;

    public async Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var source = pool.Model.Source;
        if (source.Scheme != ModelSource.FileScheme) throw new EngineLoadException($"Model '{pool.Model.Name}' comes from {source.Scheme}; llama-server is given files of this machine (host://).");

        var given = new FlavorParams(pool, Descriptor);
        var wanted = given.Text(LlamaCppParams.Server) ?? Environment.GetEnvironmentVariable("LLAMA_SERVER") ?? Program;
        var program = EngineProcess.Find(wanted)
            ?? throw new EngineLoadException($"Pool '{pool.Name}': there is no program '{wanted}' here; install llama.cpp, or name its server in the flavor's parameter '{LlamaCppParams.Server.Name}' or in LLAMA_SERVER.");
        var slots = given.Integer(LlamaCppParams.Slots);
        var context = pool.Model.ContextTokens > 0 ? pool.Model.ContextTokens : DefaultContext;
        var port = EngineProcess.FreePort();
        var process = Start(program, Arguments(source.Location, port, slots, context, given.Integer(LlamaCppParams.Threads)), pool);
        var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, MaxConnectionsPerServer = int.MaxValue, ConnectTimeout = TimeSpan.FromSeconds(5) })
        {
            BaseAddress = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/")),
            Timeout = Timeout.InfiniteTimeSpan,
        };
        try
        {
            await ReadyAsync(http, process, pool, progress, cancellationToken);
            var size = await SizeAsync(http, slots, context, cancellationToken);
            return new OpenAiEngine(http, _dialect, size, new EngineWatch(http, _dialect, process.Exited, time, _logger), process);
        }
        catch
        {
            http.Dispose();
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>The command line. Pure.</summary>
    public static IReadOnlyList<string> Arguments(string file, int port, int slots, int context, int threads)
    {
        static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
        string[] all = ["-m", file, "--host", "127.0.0.1", "--port", Text(port), "-np", Text(slots), "-c", Text((long)slots * context), "--metrics", "--slots", "--jinja"];
        return threads > 0 ? [.. all, "-t", Text(threads)] : all;
    }

    private EngineProcess Start(string program, IReadOnlyList<string> arguments, Pool pool)
    {
        try
        {
            return EngineProcess.Start(program, arguments, new Dictionary<string, string>(), time, _logger);
        }
        catch (Win32Exception exception)
        {
            throw new EngineLoadException($"Pool '{pool.Name}': '{program}' cannot be run: {exception.Message}", exception);
        }
    }

    /// <summary>It answers 503 while it loads.</summary>
    private async Task ReadyAsync(HttpClient http, EngineProcess process, Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Look, time);
        progress.Report(0.1);
        while (true)
        {
            if (process.Exited.IsCompleted) throw new EngineLoadException($"Pool '{pool.Name}': llama-server went while it loaded '{pool.Model.Source.Location}'; it said last:\n{process.LastLines}");

            try
            {
                using var response = await http.GetAsync(new Uri(_dialect.HealthPath.TrimStart('/'), UriKind.Relative), cancellationToken);
                if (response.IsSuccessStatusCode) return;
                progress.Report(0.5);
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
            }

            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>What it made of what it was given.</summary>
    private static async Task<EngineSize> SizeAsync(HttpClient http, int slots, int context, CancellationToken cancellationToken)
    {
        using var answer = await JsonDocument.ParseAsync(await http.GetStreamAsync(new Uri("props", UriKind.Relative), cancellationToken), default, cancellationToken);
        var given = answer.RootElement.Get("total_slots")?.Int() ?? slots;
        var each = answer.RootElement.Get("default_generation_settings")?.Get("n_ctx")?.Int() ?? context;
        return new EngineSize(given, (long)given * each, each);
    }
}

/// <summary>What flavors may set.</summary>
internal static class LlamaCppParams
{
    public static FlavorParam Slots { get; } = new("slots", 1, 256, Whole: true, "requests at once") { Default = 4 };

    public static FlavorParam Threads { get; } = new("threads", 1, 1024, Whole: true, "threads") { Chosen = "the engine's" };

    public static FlavorParam Server { get; } = new("server", null, null, Whole: false, "its program") { Chosen = "llama-server of PATH" };

    public static IReadOnlyList<FlavorParam> All { get; } = [Slots, Threads, Server];
}
