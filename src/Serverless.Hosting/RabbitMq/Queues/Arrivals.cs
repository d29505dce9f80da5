using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;
using Serverless.Catalog;
using Serverless.Hosting.RabbitMq.Connection;
using Serverless.Hosting.RabbitMq.Messages;
using Serverless.Loops;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>
/// Names the models to which something is enqueued to every gateway, over one exchange and one queue a gateway, so that a model without work needs no consumer. Thread-safe.
/// </summary>
/// <remarks>
/// A model is named before its message is published (a publisher that dies in between has left nothing unnamed) and once more afterwards, at most once a second, so that the last of a burst
/// is followed by a name. A gateway looks at all queues when it begins to hear (what was said before it has not heard), and beside that, whatever the exchange says, at the queues that it
/// knows of in rounds that begin every ten seconds: so what was never named (published by a release that names nothing, or by hand; the exchange is missing or forbidden) waits no longer
/// than a round of looks. Queues that were not there are asked for again a few in each round, all of them while nothing is heard or earlier releases run.
/// </remarks>
internal sealed partial class Arrivals(RabbitMqLink link, TimeProvider time, ILogger<Arrivals> logger)
{
    private const int MaxNames = 65_536;
    private const int MaxNameBytes = 255; // of a queue's name, so of a model's

    /// <summary>A round of looks begins no more often.</summary>
    public static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(10);

    /// <summary>A model is named no more often.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>From one model's look to the next of a round: twenty a second cost the broker next to nothing, however many models have a queue.</summary>
    private static readonly TimeSpan LookPace = TimeSpan.FromMilliseconds(50);

    /// <summary>How long one model's answer is waited for.</summary>
    private static readonly TimeSpan LookLimit = TimeSpan.FromSeconds(2);

    /// <summary>Queues that were not there and are asked for again in a round: each costs a channel, and the broker's operator a line.</summary>
    private const int MissingPerRound = 2;

    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetryPause = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<ModelName, DateTimeOffset> _named = new();
    private readonly ConcurrentDictionary<ModelName, bool> _due = new();
    private readonly ConcurrentDictionary<ModelName, TaskCompletionSource> _waiting = new();
    private readonly ConcurrentDictionary<ModelName, bool> _heard = new();
    private readonly ConcurrentDictionary<ChannelWriter<ModelName>, bool> _watches = new();
    private volatile bool _isListening;
    private string? _refusal;
    private TaskCompletionSource _missed = New();
    private int _turn;
    private int _naming;

    /// <summary>Something is about to be enqueued; its queue is there when anybody hears of it.</summary>
    public async ValueTask AnnounceAsync(ModelName model, string queue, CancellationToken cancellationToken)
    {
        if (IsDue(model)) await TryNameAsync(model, queue, cancellationToken);
    }

    /// <summary>Completes when the model is named or found to have something, or at once when it was before.</summary>
    public Task NamedAsync(ModelName model)
    {
        var waiting = _waiting.GetOrAdd(model, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        return _heard.ContainsKey(model) ? Task.CompletedTask : waiting.Task; // after it waits: whoever names it completes what waits then
    }

    /// <summary>Something was enqueued, or goes back to its queue.</summary>
    public void Confirm(ModelName model)
    {
        _due[model] = true;
        if (Interlocked.CompareExchange(ref _naming, 1, 0) == 0) _ = Task.Run(NameDueAsync, CancellationToken.None);
    }

    /// <summary>A consumer ended here: what it leaves is named. A model of which nothing is left wakes nobody.</summary>
    /// <param name="model">Whose.</param>
    /// <param name="hasUnanswered">Whether it was delivered what it did not answer, which the broker may not have taken back yet.</param>
    public async Task ConfirmLeftAsync(ModelName model, bool hasUnanswered)
    {
        if (hasUnanswered || await MayWaitAsync(model)) Confirm(model);
    }

    /// <summary>Every model that was named, or that is found to have something waiting.</summary>
    public async IAsyncEnumerable<ModelName> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // When full, what does not go in is found by a look.
        var names = Channel.CreateBounded<ModelName>(new BoundedChannelOptions(MaxNames) { SingleReader = true, FullMode = BoundedChannelFullMode.DropWrite });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _watches[names.Writer] = true;
        Task[] loops = [ListenAgainAsync(stop.Token), LookAgainAsync(stop.Token)];
        var ended = Task.WhenAll(loops).ContinueWith(_ => names.Writer.TryComplete(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            await foreach (var model in names.Reader.ReadAllAsync(cancellationToken)) yield return model;
        }
        finally
        {
            await stop.CancelAsync();
            _watches.TryRemove(names.Writer, out _);
            await ended;
        }
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private bool IsDue(ModelName model) => !_named.TryGetValue(model, out var at) || time.GetUtcNow() - at >= Interval;

    private async Task<bool> TryNameAsync(ModelName model, string? queue, CancellationToken cancellationToken)
    {
        if (link.Current is not { } session) return false; // whoever connects looks for itself

        try
        {
            _named[model] = time.GetUtcNow();
            if (queue is not null)
            {
                await session.DeclareAsync(link.Topology.Durable(model), cancellationToken); // by this one a model is known to have been asked for
                await session.DeclareAsync(queue, cancellationToken);
            }

            Wake(model);
            if (await session.TellAsync(link.Topology.Arrivals, Encoding.UTF8.GetBytes(model.Value), cancellationToken) is { } refusal) TellOf(session, refusal);
            return true;
        }
        catch (OperationInterruptedException exception) when (exception.ShutdownReason is { ReplyCode: Constants.AccessRefused or Constants.NotFound or Constants.PreconditionFailed } reason)
        {
            TellOf(session, reason.ReplyText);
            return true; // saying it again changes nothing: who does not hear it looks
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            TellOf(session, exception.Message);
            return false; // said again later
        }
    }

    /// <summary>Whoever in this process waits for its queues looks again.</summary>
    private void Wake(ModelName model)
    {
        if (_heard.Count < MaxNames) _heard[model] = true;
        if (_waiting.TryRemove(model, out var waiting)) waiting.TrySetResult();
        foreach (var (watch, _) in _watches) watch.TryWrite(model);
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

    private async Task ListenAgainAsync(CancellationToken stoppingToken)
    {
        var backoff = new Backoff(RetryPause, LongestRetryPause);
        while (!stoppingToken.IsCancellationRequested && !link.IsClosed)
        {
            BrokerSession? session = null;
            var pause = TimeSpan.Zero;
            try
            {
                session = await link.SessionAsync(stoppingToken);
                await ListenAsync(session, backoff, stoppingToken);
            }
            catch (Exception exception)
            {
                if (session is not null && !stoppingToken.IsCancellationRequested) TellOf(session, exception.Message);
                pause = backoff.Next();
            }
            finally
            {
                _isListening = false;
                session?.Forget(link.Topology.Arrivals); // it may be gone
            }

            if (pause > TimeSpan.Zero) await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Returns when the channel is closed, its queue gone or the connection lost, or throws.</summary>
    private async Task ListenAsync(BrokerSession session, Backoff backoff, CancellationToken stoppingToken)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, session.Lost);
        await session.DeclareExchangeAsync(link.Topology.Arrivals, over.Token);
        await using var channel = await session.OpenChannelAsync(over.Token);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var consumer = new AsyncEventingBasicConsumer(channel);
        channel.ChannelShutdownAsync += (_, _) => EndAsync();
        consumer.UnregisteredAsync += (_, _) => EndAsync();
        consumer.ReceivedAsync += (_, named) =>
        {
            if (named.Body.Length <= MaxNameBytes) Wake(new ModelName(Encoding.UTF8.GetString(named.Body.Span)));
            return Task.CompletedTask;
        };
        var queue = await channel.QueueDeclareAsync("", durable: false, exclusive: true, autoDelete: true, cancellationToken: over.Token);
        await channel.QueueBindAsync(queue.QueueName, link.Topology.Arrivals, "", cancellationToken: over.Token);
        await channel.BasicConsumeAsync(queue.QueueName, autoAck: true, consumer, over.Token);
        (_isListening, _refusal) = (true, null);
        backoff.Reset();
        _missed.TrySetResult(); // what was said before it was heard
        while (await Task.WhenAny(ended.Task, Task.Delay(LookInterval, time, over.Token)) != ended.Task)
        {
            over.Token.ThrowIfCancellationRequested();
            await channel.QueueBindAsync(queue.QueueName, link.Topology.Arrivals, "", cancellationToken: over.Token); // an exchange that was deleted and made again has forgotten it
        }

        Task EndAsync()
        {
            ended.TrySetResult();
            return Task.CompletedTask;
        }
    }

    /// <summary>Looks whether it hears anything or not: at once at what may have been missed, then in rounds.</summary>
    private async Task LookAgainAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested && !link.IsClosed)
        {
            try
            {
                var missed = Volatile.Read(ref _missed);
                var isWhole = await Task.WhenAny(missed.Task, Task.Delay(LookInterval, time, stoppingToken)) == missed.Task;
                if (isWhole) Volatile.Write(ref _missed, New());
                stoppingToken.ThrowIfCancellationRequested();
                var session = await link.SessionAsync(stoppingToken);
                using var over = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, session.Lost);
                await LookAsync(session, isWhole, over.Token);
            }
            catch (Exception)
            {
                // The link tells of what is lost; the next round looks again.
            }
        }
    }

    /// <summary>Looks for what waits already: whoever enqueues declares a model's durable queue first, so without that nothing waits.</summary>
    /// <param name="session">Whose queues.</param>
    /// <param name="isWhole">Whether names may have been missed: all queues are asked for, without a pause.</param>
    /// <param name="cancellationToken">Ends it.</param>
    private async Task LookAsync(BrokerSession session, bool isWhole, CancellationToken cancellationToken)
    {
        var asksAll = isWhole || !_isListening || link.Options.EnvelopeVersion < Envelope.Latest;
        var missing = 0;
        foreach (var model in (link.Models is { Count: > 0 } models ? models : [.. _heard.Keys]).Where(link.Topology.CanName))
        {
            if (session.IsMissing(link.Topology.Durable(model)))
            {
                if (!asksAll && missing++ / MissingPerRound != _turn) continue;
                session.Forget(link.Topology.Durable(model));
            }

            if (await TryAskAsync(token => IsWaitingAsync(session, model, token), cancellationToken)) Wake(model);
            if (!isWhole) await Task.Delay(LookPace, time, cancellationToken);
        }

        _turn = (_turn + 1) * MissingPerRound < missing ? _turn + 1 : 0;
    }

    /// <summary>What cannot be asked of one model (its queue has no leader) keeps nobody from asking of the next.</summary>
    private async Task<bool> TryAskAsync(Func<CancellationToken, Task<bool>> question, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(LookLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await question(either.Token);
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task<bool> IsWaitingAsync(BrokerSession session, ModelName model, CancellationToken cancellationToken)
    {
        var durable = link.Topology.Durable(model);
        if (!await session.ExistsAsync(durable, cancellationToken)) return false;
        if (await session.InspectAsync(durable, cancellationToken) is not { } queue)
        {
            session.Forget(durable); // it was there
            return false;
        }

        return queue.MessageCount > 0 || await session.InspectAsync(link.Topology.Transient(model), cancellationToken) is { MessageCount: > 0 };
    }

    /// <summary>Of a model whose consumer ended. Where it cannot be asked it may; without a connection, whoever makes one looks.</summary>
    private async Task<bool> MayWaitAsync(ModelName model)
    {
        if (link.Current is not { } session) return false;

        using var limit = new CancellationTokenSource(link.Options.PublishTimeout, time);
        try
        {
            return await IsWaitingAsync(session, model, limit.Token);
        }
        catch (Exception)
        {
            return true;
        }
    }

    /// <summary>Once, until it goes again. What is lost with its connection, the link tells.</summary>
    private void TellOf(BrokerSession session, string reason)
    {
        if (session.Ended.IsCompleted || Interlocked.CompareExchange(ref _refusal, reason, null) is not null) return;
        LogRefused(link.Topology.Arrivals, reason);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Models with work cannot be named to gateways over the exchange {Exchange} ({Reason}): one that sleeps wakes late, by a round of looks. Declare the exchange (serverless topology) and give the right to write to it and to bind queues to it.")]
    private partial void LogRefused(string exchange, string reason);
}
