using System.Threading.Channels;
using MassTransit;
using MassTransit.Serialization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Contracts;
using Serverless.FunctionalTests.Gateway;
using Serverless.Hosting.MassTransit;
using Serverless.Requests;

namespace Serverless.FunctionalTests.Messaging;

/// <summary>A gateway that takes messages over MassTransit's in-memory transport, and a service on the same bus.</summary>
internal sealed class MessagingUnderTest : IAsyncDisposable
{
    public const string Body = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";

    private static readonly Uri Submit = new("queue:serverless-inference");

    private readonly List<HostReceiveEndpointHandle> _endpoints = [];

    private MessagingUnderTest(GatewayUnderTest gateway) => Gateway = gateway;

    public static SubmitInference Good => new() { Body = Body };

    public GatewayUnderTest Gateway { get; }

    public IBusControl Bus => Gateway.Services.GetRequiredService<IBusControl>();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static async Task<MessagingUnderTest> StartAsync(Backend? backend = null, params (string Key, string Value)[] settings)
    {
        var all = new Dictionary<string, string?>(StringComparer.Ordinal) { ["MassTransit:Enabled"] = "true", ["MassTransit:RetryPause"] = "00:00:00.02" };
        foreach (var (key, value) in settings) all[key] = value;
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(all).Build();
        var gateway = await GatewayUnderTest.StartAsync(all, services => services.AddMessages(configuration, MassTransitOptions.InMemory), backend);
        var started = new MessagingUnderTest(gateway);
        foreach (var queue in (string[])["serverless-inference", "serverless-inference-cancel", "serverless-inference-streams"])
        {
            // Connected once it has handled what is sent: the bus starts by itself.
            await (await started.Bus.GetSendEndpoint(new Uri("queue:" + queue))).Send(new Nobody(), Token);
        }

        return started;
    }

    /// <summary>A client that waits for a response.</summary>
    public IRequestClient<T> Client<T>()
        where T : class => Bus.CreateRequestClient<T>(RequestTimeout.After(s: (int)TestTimeouts.Default.TotalSeconds));

    public Task<Response<InferenceCompleted, InferenceFailed>> AskAsync(SubmitInference asked, Guid? message = null) => Client<SubmitInference>()
        .GetResponse<InferenceCompleted, InferenceFailed>(asked, request => request.UseExecute(context => context.MessageId = message ?? context.MessageId), Token);

    /// <summary>Sends it, waiting for nothing.</summary>
    public async Task<Guid> SendAsync(SubmitInference asked, Guid? message = null, Action<SendContext>? with = null)
    {
        var id = message ?? NewId.NextGuid();
        await (await Bus.GetSendEndpoint(Submit)).Send(asked, context =>
        {
            context.MessageId = id;
            with?.Invoke(context);
        }, Token);
        return id;
    }

    /// <summary>Sends a body as it is.</summary>
    public async Task SendRawAsync(string body) => await (await Bus.GetSendEndpoint(Submit)).Send(new SubmitInference(), context =>
        context.Serializer = new CopyBodySerializer(new System.Net.Mime.ContentType("application/vnd.masstransit+json"), new StringMessageBody(body)), Token);

    /// <summary>An endpoint of the service's own, and what comes to it.</summary>
    public async Task<ChannelReader<ConsumeContext<T>>> ListenAsync<T>(string queue, bool published = false)
        where T : class
    {
        var channel = Channel.CreateBounded<ConsumeContext<T>>(100_000);
        var handle = Bus.ConnectReceiveEndpoint(queue, endpoint =>
        {
            endpoint.ConfigureConsumeTopology = published;
            endpoint.ConcurrentMessageLimit = 1;
            endpoint.Handler<T>(context => channel.Writer.WriteAsync(context, CancellationToken.None).AsTask());
        });
        await handle.Ready.WithinLimitAsync();
        _endpoints.Add(handle);
        return channel.Reader;
    }

    public static async Task<ConsumeContext<T>> NextAsync<T>(ChannelReader<ConsumeContext<T>> reader)
        where T : class => await reader.ReadAsync(Token).WithinLimitAsync();

    /// <summary>Serves the next request, as its dispatcher and worker would.</summary>
    public async Task<HeldRequest> ServeAsync(params string[] tokens)
    {
        var held = await Gateway.TakeAsync();
        await held.BeginAsync();
        for (var i = 0; i < tokens.Length; i++) await held.SayAsync(tokens[i], finish: i == tokens.Length - 1 ? FinishReason.Stop : null);
        await held.FinishAsync();
        await EndAsync(held);
        return held;
    }

    /// <summary>Tells all who are to be told of an end, in order, as the dispatcher does.</summary>
    public async Task EndAsync(HeldRequest held, RequestOutcome outcome = RequestOutcome.Finished)
    {
        foreach (var observer in Gateway.Services.GetServices<IEndObserver>()) await observer.EndedAsync(new RequestEnd(held.Request, outcome, new TokenUsage(5, 2)), Token).WithinLimitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var endpoint in _endpoints) await endpoint.StopAsync(CancellationToken.None);
        await Gateway.StopAsync();
        await Gateway.DisposeAsync();
    }

    /// <summary>What nobody consumes.</summary>
    private sealed record Nobody;
}
