using System.ComponentModel;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Catalog.Recipes;
using Serverless.Engines;
using Serverless.Hosting.Engines.Processes;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>Loads an engine of that dialect: as a child of the worker, or one that runs already; parameters: <see cref="OpenAiParams"/>.</summary>
internal sealed partial class OpenAiEngineFactory<TDialect>(TimeProvider time, ILoggerFactory loggers) : IEngineFactory
    where TDialect : EngineDialect, new()
{
    private const int DefaultContext = 4096;

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    private readonly TDialect _dialect = new();
    private readonly ILogger _logger = loggers.CreateLogger<TDialect>();

    public EngineDescriptor Descriptor => _dialect.Descriptor;

    public async Task<IEngine> LoadAsync(Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        var given = new FlavorParams(pool, Descriptor);
        var url = given.Text(OpenAiParams.Url);
        var port = url is null ? EngineProcess.FreePort() : 0;
        var process = url is null ? await StartAsync(pool, given, port) : null;
        var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, MaxResponseHeadersLength = 64, ResponseDrainTimeout = TimeSpan.Zero, ConnectTimeout = TimeSpan.FromSeconds(5) })
        {
            BaseAddress = url is null ? new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/")) : AddressOf(pool, url),
            Timeout = Timeout.InfiniteTimeSpan, // of streams; what else is asked has its own
            MaxResponseContentBufferSize = EngineQuestions.LongestAnswer,
        };
        try
        {
            http.DefaultRequestHeaders.Authorization = KeyOf(pool, given);
            var ask = new EngineQuestions(http, time);
            await ReadyAsync(ask, process, pool, progress, cancellationToken);
            var sample = await SampleAsync(ask, pool, cancellationToken);
            var facts = await MeetAsync(ask, pool, given.Integer(Param("slots")!), sample, cancellationToken);
            var manner = new EngineManner(_dialect, facts.ServedName, pool.Model.Sampling, ByDeadline(given));
            var silence = TimeSpan.FromSeconds(given.Number(OpenAiParams.SilenceSeconds));
            return new OpenAiEngine(http, manner, facts, new EngineWatch(http, new EngineLook(_dialect, sample is not null, facts.KvTokens), process?.Exited, silence, time, _logger), process, time);
        }
        catch
        {
            http.Dispose();
            if (process is not null) await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>The command line of a child, and what its environment has beyond ours. Pure.</summary>
    /// <exception cref="EngineLoadException">The flavor or the model's source is none for it.</exception>
    public EngineLaunch LaunchOf(Pool pool, int port)
    {
        var given = new FlavorParams(pool, Descriptor);
        var (model, revision) = ModelOf(pool);
        var context = pool.Model.ContextTokens > 0 ? pool.Model.ContextTokens : DefaultContext;
        var launch = _dialect.Launch(new EngineStart(
            ProgramOf(pool, given), model, revision, given.Text(OpenAiParams.ServedName) ?? pool.Model.Name.Value, port, given.Integer(Param("slots")!), context, Param("threads") is { } threads ? given.Integer(threads) : 0, ByDeadline(given)));
        string[] more = given.Text(OpenAiParams.Args) is not { } text ? [] : [.. ArgumentText.Split(text) ?? throw new EngineLoadException($"Pool '{pool.Name}': the flavor's parameter 'args' opens a quote that it does not close: {text}")];
        return OfPlayground(launch with { Arguments = [.. launch.Arguments, .. more] }, pool, model);
    }

    /// <summary>With what the model's Playground adds.</summary>
    private static EngineLaunch OfPlayground(EngineLaunch launch, Pool pool, string path)
    {
        var (runtime, faults) = (pool.Model.Runtime, new List<RecipeFault>());
        var args = RecipeRenderer.ArgsHere(runtime, pool.Model.Name.Value, path, faults);
        if (faults is [var fault, ..]) throw new EngineLoadException($"Pool '{pool.Name}': {fault.Field} {fault.Message}");

        var environment = new Dictionary<string, string>(launch.Environment, StringComparer.Ordinal);
        foreach (var (name, value, _) in runtime.Envs) environment[name] = value ?? "";
        return new EngineLaunch([.. launch.Arguments, .. args]) { Environment = environment };
    }

    /// <summary>Where OpenAI's paths begin: some write their first part along.</summary>
    private static Uri AddressOf(Pool pool, string url)
    {
        var bare = url.TrimEnd('/');
        if (bare.EndsWith("/v1", StringComparison.Ordinal)) bare = bare[..^"/v1".Length];
        return Uri.TryCreate(bare + "/", UriKind.Absolute, out var address) ? address : throw new EngineLoadException($"Pool '{pool.Name}': '{url}' is no URL; write {OpenAiParams.Url.Name}: http://host:port.");
    }

    private static AuthenticationHeaderValue? KeyOf(Pool pool, FlavorParams given)
    {
        if (given.Text(OpenAiParams.ApiKeyVariable) is not { } variable) return null;
        return Environment.GetEnvironmentVariable(variable) is { Length: > 0 } key
            ? new AuthenticationHeaderValue("Bearer", key)
            : throw new EngineLoadException($"Pool '{pool.Name}': the environment of this worker has no '{variable}', which the flavor's parameter '{OpenAiParams.ApiKeyVariable.Name}' names; set it to the engine's key.");
    }

    private static bool ByDeadline(FlavorParams given) => given.Text(OpenAiParams.Scheduling) == OpenAiParams.ByDeadline;

    private FlavorParam? Param(string name) => Descriptor.Params.FirstOrDefault(param => param.Name == name);

    private string ProgramOf(Pool pool, FlavorParams given) =>
        given.Text(OpenAiParams.Server) ?? throw new EngineLoadException($"Pool '{pool.Name}' names neither '{OpenAiParams.Server.Name}', a program of {_dialect.Name} to start, nor '{OpenAiParams.Url.Name}', one that runs.");

    /// <summary>What a child is to load: what the engine can read itself.</summary>
    private (string Model, string? Revision) ModelOf(Pool pool)
    {
        var source = pool.Model.Source;
        if (source.Scheme == ModelSource.FileScheme || source.Scheme == Descriptor.Scheme || source.Scheme == _dialect.Name) return (source.Location, null);
        if (!Descriptor.ReadsFile && source.Scheme == "huggingface") return (source.Location, source.Revision is "main" ? null : source.Revision);

        var takes = Descriptor.ReadsFile ? "files of this machine, to which they are pulled before" : "files of this machine (host://) or a model of Huggingface";
        throw new EngineLoadException($"Model '{pool.Model.Name}' comes from {source.Scheme}; a {_dialect.Name} server is given {takes}.");
    }

    private async Task<EngineProcess> StartAsync(Pool pool, FlavorParams given, int port)
    {
        var wanted = ProgramOf(pool, given);
        var launch = LaunchOf(pool, port);
        var program = EngineProcess.Find(wanted) ?? throw new EngineLoadException($"Pool '{pool.Name}': there is no program '{wanted}' here; install {_dialect.Name}, or correct the flavor's parameter '{OpenAiParams.Server.Name}'.");
        try
        {
            return await EngineProcess.StartAsync(program, launch.Arguments, time, _logger, launch.Environment);
        }
        catch (Win32Exception exception)
        {
            throw new EngineLoadException($"Pool '{pool.Name}': '{program}' cannot be run: {exception.Message}", exception);
        }
    }

    /// <summary>It answers 503 while it loads, or not at all. One that was not started here must be there.</summary>
    private async Task ReadyAsync(EngineQuestions ask, EngineProcess? process, Pool pool, IProgress<double> progress, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Look, time);
        progress.Report(0.1);
        while (true)
        {
            if (process?.Exited.IsCompleted == true) throw new EngineLoadException($"Pool '{pool.Name}': {_dialect.Name} went while it loaded '{pool.Model.Source.Location}'; it said last:\n{process.LastLines}");

            try
            {
                using var response = await ask.AskAsync(_dialect.HealthPath, cancellationToken);
                if (response.IsSuccessStatusCode) return;
                if (process is null && (int)response.StatusCode != 503) throw new EngineLoadException(string.Create(CultureInfo.InvariantCulture, $"Pool '{pool.Name}': {ask.Address}{_dialect.HealthPath} answers {(int)response.StatusCode}; is it {_dialect.Name}?"));
                progress.Report(0.5);
            }
            catch (HttpRequestException exception)
            {
                if (process is null) throw new EngineLoadException($"Pool '{pool.Name}': the {_dialect.Name} engine at {ask.Address} does not answer: {exception.Message}", exception);
            }

            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>What its metrics say; null: it has none, and its load is what this worker counts.</summary>
    private async Task<EngineSample?> SampleAsync(EngineQuestions ask, Pool pool, CancellationToken cancellationToken)
    {
        if (_dialect.MetricsPath is not { } path) return null;

        try
        {
            if (await ask.TextAsync(path, cancellationToken) is { } text) return _dialect.Read(PrometheusText.Parse(text));
            LogNoMetrics(pool.Name.Value, ask.Address, path, _dialect.MetricsHelp);
            return null;
        }
        catch (HttpRequestException exception)
        {
            throw new EngineLoadException($"Pool '{pool.Name}': {ask.Address}{path} is not what {_dialect.Name} answers: {exception.Message}", exception);
        }
    }

    private async Task<EngineFacts> MeetAsync(EngineQuestions ask, Pool pool, int slots, EngineSample? sample, CancellationToken cancellationToken)
    {
        try
        {
            var facts = await _dialect.MeetAsync(ask, pool, slots, sample, cancellationToken);
            if (facts.ContextTokens < pool.Model.ContextTokens) LogShort(pool.Name.Value, facts.ContextTokens.Value, pool.Model.ContextTokens);
            return facts;
        }
        catch (Exception exception) when (exception is JsonException or HttpRequestException or InvalidOperationException) // the last of a text that is no Unicode
        {
            throw new EngineLoadException($"Pool '{pool.Name}': what {ask.Address} says of itself is not what {_dialect.Name} does: {exception.Message}", exception);
        }
    }

    [LoggerMessage(LogLevel.Warning, "Pool {Pool}: {Address}{Path} has no metrics{Help}; its load is what this worker counts itself.")]
    private partial void LogNoMetrics(string pool, Uri address, string path, string help);

    [LoggerMessage(LogLevel.Warning, "Pool {Pool}: the engine's context is {Tokens} tokens, and the model's manifest allows {Allowed}; what is longer is refused by the engine. Write contextTokens: {Tokens}.")]
    private partial void LogShort(string pool, int tokens, int allowed);
}
