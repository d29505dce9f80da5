using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Documents;
using Serverless.Gateway;
using Serverless.Leases;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>The gateway on real Kestrel, a loopback port of its own, and a backend the test holds.</summary>
internal sealed class GatewayUnderTest : IAsyncDisposable
{
    public const string ModelName = "tiny";

    private readonly WebApplication _app;

    private GatewayUnderTest(WebApplication app, Backend backend)
    {
        _app = app;
        Backend = backend;
        Client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(app.Urls.First()), Timeout = TestTimeouts.Default };
    }

    public HttpClient Client { get; }

    /// <summary>What it shares with other gateways.</summary>
    public Backend Backend { get; }

    public HeldQueue Queue => Backend.Queue;

    public IRequestLog Log => Backend.Log;

    public IServiceProvider Services => _app.Services;

    public static Model Model { get; } = new()
    {
        Name = new ModelName(ModelName),
        Family = "test",
        OwnedBy = "tests",
        CreatedAt = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000),
        Source = new ModelSource("simulated", "tiny"),
        ContextTokens = 1000,
        Backend = "simulated",
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu" }],
    };

    /// <param name="settings">Its options.</param>
    /// <param name="configure">Other services.</param>
    /// <param name="map">Routes of the test.</param>
    /// <param name="backend">Stores and queue, to share them with another gateway.</param>
    public static async Task<GatewayUnderTest> StartAsync(Dictionary<string, string?>? settings = null, Action<IServiceCollection>? configure = null, Backend? backend = null, Action<WebApplication>? map = null)
    {
        backend ??= new Backend(TimeProvider.System);
        var app = GatewayHost.Build([], builder =>
        {
            builder.Logging.ClearProviders();
            builder.Configuration.AddInMemoryCollection(settings ?? []);
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            builder.Services.AddSingleton(backend.Time);
            builder.Services.AddSingleton<IRequestQueue>(backend.Queue);
            builder.Services.AddSingleton<IRequestLog>(backend.Log);
            builder.Services.AddSingleton<ILeases>(backend.Leases);
            builder.Services.AddSingleton<IDocumentStore>(backend.Documents);
            builder.Services.AddSingleton(backend.Events);
            builder.Services.AddSingleton(backend.Tap);
            builder.Services.AddMemoryEvents();
            builder.Services.AddSingleton<ICatalogSource>(new FixedCatalog(new ModelCatalog([Model])));
            builder.Services.AddSingleton<ITokenCounter, BytesAsTokens>();
            builder.Services.AddSingleton<IDemandFeed, MemoryDemandFeed>();
            builder.Services.AddSingleton<ICapacityFeed, MemoryCapacityFeed>();
            builder.Services.AddSingleton<IScaleJournal, NoDecisions>();
            builder.Services.AddSingleton<IDeadLetters, NoLetters>().AddSingleton<Redrive>();
            configure?.Invoke(builder.Services);
        });
        map?.Invoke(app);
        var name = LeaseNames.Gateway(app.Services.GetRequiredService<GatewayIdentity>().Instance);
        await backend.Leases.AcquireAsync(name, "test", TimeSpan.FromDays(1), TestContext.Current.CancellationToken); // as its dispatchers would: it lives
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new GatewayUnderTest(app, backend);
    }

    /// <summary>Sends a body; returns once the response's headers are there.</summary>
    public Task<HttpResponseMessage> PostAsync(string path, string json, CancellationToken cancellationToken, string contentType = "application/json", params (string Name, string Value)[] headers)
    {
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(json));
        content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        return SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = content }, headers, cancellationToken);
    }

    /// <summary>Posts with headers.</summary>
    public Task<HttpResponseMessage> PostAsync(string path, string json, params (string Name, string Value)[] headers) =>
        PostAsync(path, json, TestContext.Current.CancellationToken, "application/json", headers);

    /// <summary>Asks with headers.</summary>
    public Task<HttpResponseMessage> AskAsync(HttpMethod method, string path, params (string Name, string Value)[] headers) =>
        SendAsync(new HttpRequestMessage(method, path), headers, TestContext.Current.CancellationToken);

    private Task<HttpResponseMessage> SendAsync(HttpRequestMessage message, (string Name, string Value)[] headers, CancellationToken cancellationToken)
    {
        foreach (var (name, value) in headers) message.Headers.TryAddWithoutValidation(name, value).ShouldBeTrue();
        return Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    /// <summary>The next request to reach the queue.</summary>
    public async Task<HeldRequest> TakeAsync() =>
        new(await Queue.Requests.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TestTimeouts.Default, TimeProvider.System, TestContext.Current.CancellationToken), Log);

    public Task StopAsync() => _app.StopAsync(CancellationToken.None);

    /// <summary>Tells the host to stop, as a signal would, without waiting for it.</summary>
    public void BeginStop() => _app.Lifetime.StopApplication();

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.DisposeAsync();
    }

    private sealed class FixedCatalog(ModelCatalog catalog) : ICatalogSource
    {
        public ModelCatalog Current => catalog;
    }

    /// <summary>A tenth of the body's bytes: enough to be over the context with a long prompt.</summary>
    private sealed class BytesAsTokens : ITokenCounter
    {
        public int CountPrompt(Model model, EndpointName kind, ReadOnlyMemory<byte> body) => body.Length / 10;
    }

    public sealed class NoLetters : IDeadLetters
    {
        public ValueTask<IReadOnlyList<DeadLetter>> ListAsync(int limit, CancellationToken cancellationToken) => new([]);

        public ValueTask<long> CountAsync(CancellationToken cancellationToken) => new(0);

        public ValueTask<DeadLetter?> GetAsync(string id, CancellationToken cancellationToken) => new((DeadLetter?)null);

        public ValueTask<bool> RemoveAsync(string id, CancellationToken cancellationToken) => new(false);
    }

    public sealed class NoDecisions : IScaleJournal
    {
        public ScaleDecision? Latest(PoolName pool) => null;

        public IReadOnlyList<ScaleDecision> History(PoolName pool) => [];
    }
}
