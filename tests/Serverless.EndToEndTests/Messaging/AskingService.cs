using System.Collections.Concurrent;
using MassTransit;
using Serverless.Contracts;
using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests.Messaging;

/// <summary>Another service on the broker: it asks, and keeps what comes to its own endpoint. It knows the contracts and MassTransit.</summary>
internal sealed class AskingService : IAsyncDisposable
{
    private readonly SemaphoreSlim _came = new(0);

    private AskingService(IBusControl bus, string queue) => (Bus, Address) = (bus, new Uri("exchange:" + queue));

    public IBusControl Bus { get; }

    /// <summary>Where it hears.</summary>
    public Uri Address { get; }

    /// <summary>Results by their inference, each message once.</summary>
    public ConcurrentDictionary<string, ConcurrentDictionary<Guid, InferenceCompleted>> Completed { get; } = new(StringComparer.Ordinal);

    public ConcurrentDictionary<string, ConcurrentDictionary<Guid, InferenceFailed>> Failed { get; } = new(StringComparer.Ordinal);

    public ConcurrentDictionary<string, List<InferenceDelta>> Deltas { get; } = new(StringComparer.Ordinal);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static async Task<AskingService> StartAsync(RabbitMqServer broker, string queue)
    {
        AskingService? service = null;
        var bus = MassTransit.Bus.Factory.CreateUsingRabbitMq(configure =>
        {
            configure.Host(broker.Url.Host, (ushort)broker.Port, "/", host => host.Heartbeat(TimeSpan.FromSeconds(2)));
            configure.ReceiveEndpoint(queue, endpoint =>
            {
                endpoint.SetQuorumQueue();
                endpoint.ConfigureConsumeTopology = false;
                endpoint.ConcurrentMessageLimit = 1;
                endpoint.Handler<InferenceCompleted>(context => service!.KeepAsync(service.Completed, context.Message.InferenceId, context));
                endpoint.Handler<InferenceFailed>(context => service!.KeepAsync(service.Failed, context.Message.InferenceId, context));
                endpoint.Handler<InferenceDelta>(context => service!.KeepAsync(context.Message));
            });
        });
        service = new AskingService(bus, queue);
        await bus.StartAsync(Token).WithinLimitAsync();
        return service;
    }

    /// <summary>Publishes it; returns once the broker has it.</summary>
    public async Task<Guid> SendAsync(SubmitInference asked, Guid? message = null)
    {
        var id = message ?? NewId.NextGuid();
        await Bus.Publish(asked with { ResultAddress = Address }, context => context.MessageId = id, Token).WithinLimitAsync();
        return id;
    }

    public IRequestClient<T> Client<T>()
        where T : class => Bus.CreateRequestClient<T>(RequestTimeout.After(s: (int)TestTimeouts.Default.TotalSeconds));

    /// <summary>Waits until what came is as wanted.</summary>
    public async Task UntilAsync(Func<bool> wanted)
    {
        while (!wanted())
        {
            if (await _came.WaitAsync(TestTimeouts.Default, Token)) continue;

            var open = Deltas.Where(stream => !stream.Value[^1].IsLast).Select(stream => $"{stream.Key} {stream.Value[^1].Sequence}");
            throw new InvalidOperationException($"Nothing came for a minute; {Completed.Count} completed, {Failed.Count} failed, {Deltas.Count} streams, of which are not at their end: {string.Join(", ", open)}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        await Bus.StopAsync(limit.Token);
        _came.Dispose();
    }

    private Task KeepAsync<T>(ConcurrentDictionary<string, ConcurrentDictionary<Guid, T>> kept, string id, ConsumeContext<T> context)
        where T : class
    {
        kept.GetOrAdd(id, _ => new())[context.MessageId!.Value] = context.Message;
        _came.Release();
        return Task.CompletedTask;
    }

    private Task KeepAsync(InferenceDelta delta)
    {
        var stream = Deltas.GetOrAdd(delta.InferenceId, _ => []);
        lock (stream)
        {
            if (stream.Count == 0 || delta.Sequence > stream[^1].Sequence) stream.Add(delta); // as the contract says: what came before is dropped
        }

        _came.Release();
        return Task.CompletedTask;
    }
}
