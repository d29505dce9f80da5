using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Hosting.Engines.OpenAi.LlamaCpp;

namespace Serverless.Tests.Engines;

/// <summary>A server over real HTTP that answers as the test says, or as real engines did when they were recorded; if nothing else is said it calls itself llama-server.</summary>
internal sealed class StubEngine : IAsyncDisposable
{
    private readonly WebApplication _app;

    private StubEngine(WebApplication app) => _app = app;

    /// <summary>What it answers to a request.</summary>
    public Func<HttpContext, Task> Answer { get; set; } = _ => Task.CompletedTask;

    /// <summary>What it answers to who asks for its metrics.</summary>
    public Func<HttpContext, Task> Metrics { get; set; } = http => http.Response.WriteAsync("llamacpp:requests_processing 3\nllamacpp:requests_deferred 2\n", http.RequestAborted);

    public string Props { get; set; } = """{"total_slots":4,"default_generation_settings":{"n_ctx":1000}}""";

    /// <summary>What it says of itself, where it is not <see cref="Props"/>.</summary>
    public Func<HttpContext, Task>? OfItself { get; set; }

    /// <summary>What it answers at these paths.</summary>
    public ConcurrentDictionary<string, Func<HttpContext, Task>> Pages { get; } = new(StringComparer.Ordinal);

    /// <summary>The bodies that it was asked with.</summary>
    public ConcurrentQueue<JsonObject> Asked { get; } = new();

    /// <summary>The keys that it was shown.</summary>
    public ConcurrentQueue<string> Keys { get; } = new();

    public string Url => _app.Urls.Single();

    public static async Task<StubEngine> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var stub = new StubEngine(app);
        app.Run(stub.RespondAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return stub;
    }

    /// <summary>One that has the pages of a recorded engine: what it says of itself, its metrics, its errors.</summary>
    public static async Task<StubEngine> StartRecordedAsync(string engine, string metrics = "metrics_idle")
    {
        var stub = await StartAsync();
        foreach (var name in (string[])["health", "models", "version", "tokenize", metrics])
        {
            var recording = Recording.Of(engine, name);
            stub.Pages[recording.Route] = Plays(recording);
        }

        stub.Answer = Plays(Recording.Of(engine, "err_unknown_route"));
        return stub;
    }

    /// <summary>The engine that a replica of a pool with this URL has.</summary>
    public Task<IEngine> LoadAsync(TimeProvider time, params (string Name, string Value)[] more) => LoadAsync(Url, time, more);

    /// <inheritdoc cref="LoadAsync(TimeProvider, ValueTuple{string, string}[])"/>
    public static Task<IEngine> LoadAsync(string url, TimeProvider time, params (string Name, string Value)[] more) =>
        LoadAsync<LlamaCppDialect>(PoolOf("llamacpp", new ModelSource("host", "/models/a.gguf"), [.. more, ("url", url)]), time);

    /// <summary>The engine of that dialect that a replica of a pool with this URL has.</summary>
    public Task<IEngine> LoadAsync<TDialect>(params (string Name, string Value)[] more)
        where TDialect : EngineDialect, new() => LoadAsync<TDialect>(PoolOf(new TDialect().Name, new ModelSource("huggingface", "org/tiny", "main"), [.. more, ("url", Url)]), TimeProvider.System);

    /// <summary>The engine that a replica of that pool has.</summary>
    public static Task<IEngine> LoadAsync<TDialect>(Pool pool, TimeProvider time)
        where TDialect : EngineDialect, new() => new OpenAiEngineFactory<TDialect>(time, NullLoggerFactory.Instance).LoadAsync(pool, new Progress<double>(), TestContext.Current.CancellationToken);

    /// <summary>A pool of that engine.</summary>
    public static Pool PoolOf(string backend, ModelSource source, params (string Name, string Value)[] parameters) => new Model
    {
        Name = TestRequests.Model,
        Family = "test",
        Source = source,
        ContextTokens = 1000,
        Backend = backend,
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu", Params = parameters.ToDictionary(param => param.Name, param => param.Value) }],
    }.Pools[0];

    /// <summary>These answers, one after the other; the last again and again.</summary>
    public static Func<HttpContext, Task> InTurn(params Func<HttpContext, Task>[] answers)
    {
        var next = -1;
        return http => answers[Math.Min(Interlocked.Increment(ref next), answers.Length - 1)](http);
    }

    /// <summary>An answer as it was recorded.</summary>
    public static Func<HttpContext, Task> Plays(Recording recording) => async http =>
    {
        http.Response.StatusCode = recording.Status;
        http.Response.ContentType = recording.ContentType;
        await http.Response.Body.WriteAsync(recording.Body, http.RequestAborted);
    };

    /// <summary>A text.</summary>
    public static Func<HttpContext, Task> Says(string text, int status = 200) => http =>
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = text is ['{' or '[', ..] ? "application/json" : "text/plain";
        return http.Response.WriteAsync(text, http.RequestAborted);
    };

    /// <summary>An answer of events.</summary>
    public static Func<HttpContext, Task> Events(params string[] data) => async http =>
    {
        http.Response.ContentType = "text/event-stream";
        foreach (var one in data) await http.Response.WriteAsync($"data: {one}\n\n", http.RequestAborted);
    };

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task RespondAsync(HttpContext http)
    {
        Keys.Enqueue(http.Request.Headers.Authorization.ToString());
        var path = http.Request.Path.Value!;
        if (Pages.TryGetValue(path, out var page))
        {
            await page(http);
            return;
        }

        if (HttpMethods.IsPost(http.Request.Method) && await JsonNode.ParseAsync(http.Request.Body, cancellationToken: http.RequestAborted) is JsonObject asked)
        {
            http.Items[typeof(JsonObject)] = asked;
            Asked.Enqueue(asked);
        }

        await (path switch
        {
            "/health" => Task.CompletedTask,
            "/props" when OfItself is { } told => told(http),
            "/props" => http.Response.WriteAsync(Props, http.RequestAborted),
            "/metrics" => Metrics(http),
            _ => Answer(http),
        });
    }
}
