using System.ComponentModel;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Engines;
using Serverless.Hosting.Engines.Processes;

namespace Serverless.Hosting.Engines.OpenAi.LlamaCpp;

/// <summary>Engine <c>llamacpp</c>: <c>llama-server</c> as a child of the worker, over a GGUF file of this machine, or one that runs already; parameters: <see cref="LlamaCppParams"/>.</summary>
internal sealed class LlamaCppEngineFactory(TimeProvider time, ILoggerFactory loggers) : IEngineFactory
{
    private const int DefaultContext = 4096;

    /// <summary>Bytes of what it says of itself, at most.</summary>
    private const int LongestAnswer = 1 << 20;

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    /// <summary>How long it may take to say something of itself.</summary>
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(10);

    private readonly LlamaCppDialect _dialect = new();
    private readonly ILogger _logger = loggers.CreateLogger<LlamaCppEngineFactory>();

    public static EngineDescriptor Described { get; } = new()
    {
        Name = "llamacpp",
        Params = LlamaCppParams.All,
        HereWith = [LlamaCppParams.Server.Name, LlamaCppParams.Url.Name],
        ReadsFile = true,
        HasItsModelWith = LlamaCppParams.Url.Name,
        DefaultFlavor = "cpu",
        Honours =
        [
            EngineFeature.JsonOutput, EngineFeature.LogitBias, EngineFeature.Penalties, EngineFeature.RepetitionPenalty, EngineFeature.TypicalSampling, EngineFeature.DryPenalty,
        ],
    };

    public EngineDescriptor Descriptor => Described;

    public async Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var given = new FlavorParams(pool, Descriptor);
        var url = given.Text(LlamaCppParams.Url);
        var port = url is null ? EngineProcess.FreePort() : 0;
        var process = url is null ? await StartAsync(pool, given, port) : null;
        var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, MaxResponseHeadersLength = 64, ResponseDrainTimeout = TimeSpan.Zero, ConnectTimeout = TimeSpan.FromSeconds(5) })
        {
            BaseAddress = url is null ? new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/")) : AddressOf(pool, url),
            Timeout = Timeout.InfiniteTimeSpan, // of streams; what else is asked has its own
            MaxResponseContentBufferSize = LongestAnswer,
        };
        try
        {
            await ReadyAsync(http, process, pool, progress, cancellationToken);
            var size = await SizeAsync(http, pool, cancellationToken);
            var silence = TimeSpan.FromSeconds(given.Number(LlamaCppParams.SilenceSeconds));
            return new OpenAiEngine(http, _dialect, size, new EngineWatch(http, _dialect, process?.Exited, silence, time, _logger), pool.Model.Sampling, process, time);
        }
        catch
        {
            http.Dispose();
            if (process is not null) await process.DisposeAsync();
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

    private static Uri AddressOf(Pool pool, string url) => Uri.TryCreate(url.TrimEnd('/') + "/", UriKind.Absolute, out var address)
        ? address
        : throw new EngineLoadException($"Pool '{pool.Name}': '{url}' is no URL; write {LlamaCppParams.Url.Name}: http://host:port.");

    private async Task<EngineProcess> StartAsync(Pool pool, FlavorParams given, int port)
    {
        var source = pool.Model.Source;
        if (source.Scheme != ModelSource.FileScheme) throw new EngineLoadException($"Model '{pool.Model.Name}' comes from {source.Scheme}; llama-server is given files of this machine, to which they are pulled before.");

        var wanted = given.Text(LlamaCppParams.Server) ?? throw new EngineLoadException($"Pool '{pool.Name}' names neither '{LlamaCppParams.Server.Name}', a llama-server to start, nor '{LlamaCppParams.Url.Name}', one that runs.");
        var program = EngineProcess.Find(wanted) ?? throw new EngineLoadException($"Pool '{pool.Name}': there is no program '{wanted}' here; install llama.cpp, or correct the flavor's parameter '{LlamaCppParams.Server.Name}'.");
        try
        {
            var context = pool.Model.ContextTokens > 0 ? pool.Model.ContextTokens : DefaultContext;
            return await EngineProcess.StartAsync(program, Arguments(source.Location, port, given.Integer(LlamaCppParams.Slots), context, given.Integer(LlamaCppParams.Threads)), time, _logger);
        }
        catch (Win32Exception exception)
        {
            throw new EngineLoadException($"Pool '{pool.Name}': '{program}' cannot be run: {exception.Message}", exception);
        }
    }

    /// <summary>It answers 503 while it loads. One that was not started here must be there.</summary>
    private async Task ReadyAsync(HttpClient http, EngineProcess? process, Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Look, time);
        progress.Report(0.1);
        while (true)
        {
            if (process?.Exited.IsCompleted == true) throw new EngineLoadException($"Pool '{pool.Name}': llama-server went while it loaded '{pool.Model.Source.Location}'; it said last:\n{process.LastLines}");

            try
            {
                using var response = await AskAsync(http, _dialect.HealthPath.TrimStart('/'), cancellationToken);
                if (response.IsSuccessStatusCode) return;
                if (process is null && (int)response.StatusCode != 503) throw new EngineLoadException(string.Create(CultureInfo.InvariantCulture, $"Pool '{pool.Name}': {http.BaseAddress}health answers {(int)response.StatusCode}; is it a llama-server?"));
                progress.Report(0.5);
            }
            catch (HttpRequestException exception)
            {
                if (process is null) throw new EngineLoadException($"Pool '{pool.Name}': the llama-server at {http.BaseAddress} does not answer: {exception.Message}", exception);
            }

            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>What it made of what it was given.</summary>
    private async Task<EngineSize> SizeAsync(HttpClient http, Pool pool, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await AskAsync(http, "props", cancellationToken);
            using var answer = JsonDocument.Parse(await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync(cancellationToken));
            if (answer.RootElement.Get("total_slots")?.Int() is { } slots && answer.RootElement.Get("default_generation_settings")?.Get("n_ctx")?.Int() is { } each) return new EngineSize(slots, (long)slots * each);
        }
        catch (Exception exception) when (exception is JsonException or HttpRequestException)
        {
            throw new EngineLoadException($"Pool '{pool.Name}': {http.BaseAddress}props is not what a llama-server answers: {exception.Message}", exception);
        }

        throw new EngineLoadException($"Pool '{pool.Name}': {http.BaseAddress}props does not say how many slots it has; is it a llama-server?");
    }

    /// <summary>Its whole answer.</summary>
    /// <exception cref="HttpRequestException">There is none, in time and of a length that is read.</exception>
    private async Task<HttpResponseMessage> AskAsync(HttpClient http, string path, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(AnswerLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await http.GetAsync(new Uri(path, UriKind.Relative), either.Token);
        }
        catch (OperationCanceledException exception) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException(string.Create(CultureInfo.InvariantCulture, $"it says nothing for {AnswerLimit.TotalSeconds:0} s"), exception);
        }
    }
}
