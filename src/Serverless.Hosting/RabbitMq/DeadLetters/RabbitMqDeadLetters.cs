using RabbitMQ.Client;
using Serverless.Errors;
using Serverless.Hosting.RabbitMq.Connection;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.DeadLetters;

/// <summary>
/// The dead letters' queue as operators see it. A queue can only be read from its head, so a look takes messages without acknowledging them and puts them back when its channel
/// closes; while one operator looks, another sees fewer. Bodies pass by, one at a time, and are not kept. Thread-safe; looks of one process come one after the other.
/// </summary>
internal sealed class RabbitMqDeadLetters(RabbitMqLink link, TimeProvider time) : IDeadLetters, IDisposable
{
    /// <summary>How far one looks for an id: beyond that, redrive or remove those at the head first.</summary>
    public const int Furthest = 10_000;

    /// <summary>How many bytes pass by in one look, at most: a broker hands out whole messages.</summary>
    private const long MostBytes = 512L * 1024 * 1024;

    private static readonly TimeSpan LongestReturn = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim _looking = new(1, 1);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<DeadLetter>> ListAsync(int limit, CancellationToken cancellationToken)
    {
        var letters = new List<DeadLetter>();
        await LookAsync(
            Math.Min(limit, Furthest),
            message =>
            {
                letters.Add(LetterEnvelope.Open(message.BasicProperties, message.Body, withBody: false));
                return Glance.Next;
            },
            cancellationToken);
        return [.. letters.OrderBy(letter => letter.At)]; // what was looked at goes back behind what was not
    }

    /// <inheritdoc/>
    public async ValueTask<long> CountAsync(CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            var session = await link.SessionAsync(either.Token);
            return (await session.InspectAsync(link.Topology.DeadLetters, either.Token))?.MessageCount ?? 0;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && BrokerFaults.IsOutage(exception))
        {
            throw new ServingException(BrokerFaults.Unavailable(exception.Message), exception);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<DeadLetter?> GetAsync(string id, CancellationToken cancellationToken)
    {
        DeadLetter? found = null;
        var all = await LookAsync(
            Furthest,
            message =>
            {
                if (message.BasicProperties.MessageId == id) found = LetterEnvelope.Open(message.BasicProperties, message.Body.ToArray(), withBody: true);
                return found is null ? Glance.Next : Glance.Last;
            },
            cancellationToken);
        return found is not null || all ? found : throw TooFar(id);
    }

    /// <inheritdoc/>
    public async ValueTask<bool> RemoveAsync(string id, CancellationToken cancellationToken)
    {
        var removed = false;
        var all = await LookAsync(
            Furthest,
            message =>
            {
                if (message.BasicProperties.MessageId != id) return Glance.Next;
                removed = true;
                return Glance.Remove; // and on: the same letter may be there twice
            },
            cancellationToken);
        return removed || all ? removed : throw TooFar(id);
    }

    public void Dispose() => _looking.Dispose();

    private static ServingException TooFar(string id) =>
        new(new ServingFault(ServingError.RequestNotFound, $"There is no dead letter '{id}' among the first {Furthest}, or {MostBytes >> 20} MiB, of them; redrive or remove those first.", "id"));

    /// <summary>Shows the messages from the head, at most so many, until told to stop; all that is not removed goes back, and is there again for the next look. True: there are no more.</summary>
    private async Task<bool> LookAsync(int limit, Func<BasicGetResult, Glance> look, CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            await _looking.WaitAsync(either.Token);
            try
            {
                var session = await link.SessionAsync(either.Token);
                await session.DeclareAsync(link.Topology.DeadLetters, either.Token);
                await using var channel = await session.OpenChannelAsync(either.Token);
                var (all, back) = await LookAsync(channel, limit, look, either.Token);
                await channel.CloseAsync(CancellationToken.None);
                await ReturnedAsync(session, back, either.Token);
                return all;
            }
            finally
            {
                _looking.Release();
            }
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested && BrokerFaults.IsOutage(exception))
        {
            throw new ServingException(BrokerFaults.Unavailable(exception.Message), exception);
        }
    }

    private async Task<(bool All, int Back)> LookAsync(IChannel channel, int limit, Func<BasicGetResult, Glance> look, CancellationToken cancellationToken)
    {
        var (back, bytes) = (0, 0L);
        for (var left = limit; left > 0 && bytes < MostBytes; left--)
        {
            if (await channel.BasicGetAsync(link.Topology.DeadLetters, autoAck: false, cancellationToken) is not { } message) return (true, back);

            bytes += message.Body.Length;
            var glance = look(message);
            if (glance == Glance.Remove) await channel.BasicAckAsync(message.DeliveryTag, multiple: false, cancellationToken);
            else back++;
            if (glance == Glance.Last) break;
        }

        return (false, back);
    }

    /// <summary>The broker says that a channel is closed before what it held is in its queue again: who lists and then removes would not find it. Another operator's look may hold some, so this has a bound.</summary>
    private async Task ReturnedAsync(BrokerSession session, int back, CancellationToken cancellationToken)
    {
        var backoff = new Backoff(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(100));
        for (var begun = time.GetTimestamp(); back > 0 && time.GetElapsedTime(begun) < LongestReturn; await Task.Delay(backoff.Next(), time, cancellationToken))
        {
            if (await session.InspectAsync(link.Topology.DeadLetters, cancellationToken) is not { } queue || queue.MessageCount >= back) return;
        }
    }

    /// <summary>What comes of a message that was shown.</summary>
    private enum Glance
    {
        /// <summary>It goes back; show the next.</summary>
        Next,

        /// <summary>It goes back, and the look is over.</summary>
        Last,

        /// <summary>It is removed for good; show the next.</summary>
        Remove,
    }
}
