using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Channels;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using Serverless.Catalog;
using Serverless.Hosting.RabbitMq.Connection;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>
/// Names the models to which something is enqueued to every gateway, over one exchange and one queue a gateway, so that a model without work needs no consumer. Thread-safe.
/// </summary>
/// <remarks>
/// A model is named before its message is published (a publisher that dies in between has left nothing unnamed) and once more afterwards, at most once a second, so that the last of a burst
/// is followed by a name. A gateway that connects looks at all queues itself: what was said meanwhile it has not heard.
/// </remarks>
internal sealed class Arrivals(RabbitMqLink link, TimeProvider time)
{
    private const int MaxWaiting = 65_536;

    /// <summary>A model is named no more often.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<ModelName, DateTimeOffset> _named = new();
    private readonly ConcurrentDictionary<ModelName, bool> _due = new();
    private readonly ConcurrentDictionary<ModelName, TaskCompletionSource> _waiting = new();
    private int _naming;

    /// <summary>Something is about to be enqueued; its queue is there when anybody hears of it.</summary>
    public async ValueTask AnnounceAsync(ModelName model, string queue, CancellationToken cancellationToken)
    {
        if (IsDue(model)) await TryNameAsync(model, queue, cancellationToken);
    }

    /// <summary>Completes when the model is named next. Take it before looking whether there is something.</summary>
    public Task NamedAsync(ModelName model) => _waiting.GetOrAdd(model, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    /// <summary>Something was enqueued, or goes back to its queue.</summary>
    public void Confirm(ModelName model)
    {
        _due[model] = true;
        if (Interlocked.CompareExchange(ref _naming, 1, 0) == 0) _ = Task.Run(NameDueAsync, CancellationToken.None);
    }

    /// <summary>Every model that was named, or that has something waiting when a connection is made.</summary>
    public async IAsyncEnumerable<ModelName> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var names = Channel.CreateBounded<ModelName>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var listening = ListenAgainAsync(names.Writer, stop.Token);
        try
        {
            await foreach (var model in names.Reader.ReadAllAsync(cancellationToken)) yield return model;
        }
        finally
        {
            await stop.CancelAsync();
            await listening;
        }
    }

    private bool IsDue(ModelName model) => !_named.TryGetValue(model, out var at) || time.GetUtcNow() - at >= Interval;

    private async Task<bool> TryNameAsync(ModelName model, string? queue, CancellationToken cancellationToken)
    {
        if (link.Current is not { } session) return false; // whoever connects looks for itself

        try
        {
            _named[model] = time.GetUtcNow();
            if (queue is not null) await session.DeclareAsync(queue, cancellationToken);
            Wake(session, model);
            await session.TellAsync(link.Topology.Arrivals, Encoding.UTF8.GetBytes(model.Value), cancellationToken);
            return true;
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            return false; // said again later
        }
    }

    /// <summary>Whoever in this process waits for its queues looks again.</summary>
    private void Wake(BrokerSession session, ModelName model)
    {
        session.Expect(link.Topology.Transient(model));
        session.Expect(link.Topology.Durable(model));
        if (_waiting.TryRemove(model, out var waiting)) waiting.TrySetResult();
    }

    /// <summary>Runs for as long as there is something to name, and no longer.</summary>
    private async Task NameDueAsync()
    {
        do
        {
            await Task.Delay(Interval, time, CancellationToken.None);
            foreach (var model in _due.Keys)
            {
                _due.TryRemove(model, out _);
                if (!await TryNameAsync(model, null, CancellationToken.None)) _due[model] = true;
            }

            if (link.IsClosed) return;
        }
        while (!_due.IsEmpty);

        Volatile.Write(ref _naming, 0);
        if (!_due.IsEmpty && Interlocked.CompareExchange(ref _naming, 1, 0) == 0) await NameDueAsync();
    }

    private async Task ListenAgainAsync(ChannelWriter<ModelName> names, CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested && !link.IsClosed)
        {
            try
            {
                await ListenAsync(await link.SessionAsync(stoppingToken), names, stoppingToken);
            }
            catch (Exception)
            {
                // The link tells of what is lost.
                await Task.Delay(RetryPause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        names.TryComplete();
    }

    /// <summary>Returns when the connection is lost, or throws.</summary>
    private async Task ListenAsync(BrokerSession session, ChannelWriter<ModelName> names, CancellationToken stoppingToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, session.Lost);
        await session.DeclareExchangeAsync(link.Topology.Arrivals, over.Token);
        await using var channel = await session.OpenChannelAsync(over.Token);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        channel.ChannelShutdownAsync += (_, _) =>
        {
            ended.TrySetResult();
            return Task.CompletedTask;
        };
        var queue = await channel.QueueDeclareAsync("", durable: false, exclusive: true, autoDelete: true, cancellationToken: over.Token);
        await channel.QueueBindAsync(queue.QueueName, link.Topology.Arrivals, "", cancellationToken: over.Token);
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += (_, named) =>
        {
            var model = new ModelName(Encoding.UTF8.GetString(named.Body.Span));
            Wake(session, model);
            names.TryWrite(model);
            return Task.CompletedTask;
        };
        await channel.BasicConsumeAsync(queue.QueueName, autoAck: true, consumer, over.Token);
        await LookAsync(session, names, over.Token);
        await ended.Task.WaitAsync(over.Token);
    }

    /// <summary>Looks for what waits already. A queue that is not there has nothing in it.</summary>
    private async Task LookAsync(BrokerSession session, ChannelWriter<ModelName> names, CancellationToken cancellationToken)
    {
        foreach (var model in link.Models.Concat(_named.Keys).Distinct())
        {
            foreach (var queue in new[] { link.Topology.Durable(model), link.Topology.Transient(model) })
            {
                if (!await session.ExistsAsync(queue, cancellationToken) || await session.InspectAsync(queue, cancellationToken) is not { MessageCount: > 0 }) continue;
                Wake(session, model);
                await names.WriteAsync(model, cancellationToken);
                break;
            }
        }
    }
}
