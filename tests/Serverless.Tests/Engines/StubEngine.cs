using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.OpenAi.LlamaCpp;

namespace Serverless.Tests.Engines;

/// <summary>A server that calls itself llama-server, and answers as the test says.</summary>
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

    public string Url => _app.Urls.Single();

    public static async Task<StubEngine> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var stub = new StubEngine(app);
        app.Run(http => http.Request.Path.Value switch
        {
            "/health" => Task.CompletedTask,
            "/props" when stub.OfItself is { } told => told(http),
            "/props" => http.Response.WriteAsync(stub.Props, http.RequestAborted),
            "/metrics" => stub.Metrics(http),
            _ => stub.Answer(http),
        });
        await app.StartAsync(TestContext.Current.CancellationToken);
        return stub;
    }

    /// <summary>The engine that a replica of a pool with this URL has.</summary>
    public Task<IEngine> LoadAsync(TimeProvider time, params (string Name, string Value)[] more) => LoadAsync(Url, time, more);

    /// <inheritdoc cref="LoadAsync(TimeProvider, ValueTuple{string, string}[])"/>
    public static Task<IEngine> LoadAsync(string url, TimeProvider time, params (string Name, string Value)[] more) => new LlamaCppEngineFactory(time, NullLoggerFactory.Instance).LoadAsync(
        new Model
        {
            Name = TestRequests.Model,
            Family = "test",
            Source = new ModelSource("host", "/models/a.gguf"),
            ContextTokens = 1000,
            Backend = "llamacpp",
            Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu", Params = more.Append(("url", url)).ToDictionary(param => param.Item1, param => param.Item2) }],
        }.Pools[0], new Progress<double>(), TestContext.Current.CancellationToken);

    /// <summary>An answer of events.</summary>
    public static Func<HttpContext, Task> Events(params string[] data) => async http =>
    {
        http.Response.ContentType = "text/event-stream";
        foreach (var one in data) await http.Response.WriteAsync($"data: {one}\n\n", http.RequestAborted);
    };

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
