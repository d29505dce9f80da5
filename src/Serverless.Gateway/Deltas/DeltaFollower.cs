using Serverless.Errors;
using Serverless.Gateway.Requests;
using Serverless.Requests;

namespace Serverless.Gateway.Deltas;

/// <summary>
/// The output of a request as deltas, while it is made. Each is sent before the next, so they are in order and a slow receiver holds the stream up, whose log keeps what is to come; the same part
/// has the same number whoever sends it, so what a lost gateway began another sends on. Thread-safe.
/// </summary>
internal sealed class DeltaFollower(RequestDirectory directory, RequestService requests, ShutdownGate shutdown, TimeProvider time)
{
    /// <summary>Brokers take a message back that is not answered for half an hour: a longer stream is handed on before.</summary>
    private static readonly TimeSpan LongestTurn = TimeSpan.FromMinutes(10);

    /// <summary>Sends them, to the end.</summary>
    /// <param name="owner">Whose.</param>
    /// <param name="id">Of which request.</param>
    /// <param name="after">The last that was sent before.</param>
    /// <param name="send">Sends one; false: nobody hears them any more.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>Null: that is all. Else the number of the last one that was sent: somebody is to go on from there.</returns>
    public async Task<long?> FollowAsync(Owner owner, RequestId id, long after, Func<OutputDelta, CancellationToken, Task<bool>> send, CancellationToken cancellationToken)
    {
        var stream = new Stream(after, send);
        Ticket ticket;
        try
        {
            ticket = await directory.FollowAsync(owner, id, null, cancellationToken);
        }
        catch (ServingException exception) when (exception.Fault.Error is ServingError.RequestNotFound or ServingError.LogExpired)
        {
            await stream.EndAsync(exception.Fault, cancellationToken);
            return null;
        }

        try
        {
            using var writer = new DeltaWriter(ticket.Shape);
            var began = time.GetTimestamp();
            await foreach (var step in requests.FollowAsync(ticket, cancellationToken))
            {
                if (await TakeAsync(step, ticket, writer, stream, cancellationToken) || stream.IsUnheard) return null;
                if (shutdown.IsStopping || time.GetElapsedTime(began) >= LongestTurn) return stream.Sent;
            }

            return null;
        }
        finally
        {
            await requests.LeaveAsync(ticket);
        }
    }

    /// <summary>True: that was the last one.</summary>
    private static async ValueTask<bool> TakeAsync(FollowStep step, Ticket ticket, DeltaWriter writer, Stream stream, CancellationToken cancellationToken)
    {
        switch (step)
        {
            case { Kind: FollowKind.Failed, Fault: { Error: ServingError.ShuttingDown } }:
                return false;

            case { Kind: FollowKind.Failed }:
                await stream.EndAsync(step.Fault, cancellationToken);
                return true;

            case { Kind: FollowKind.Event, Logged.Event: RequestEvent.Chunk chunk }:
                var isWhole = writer.TryAppend(step.Logged.Sequence, chunk);
                await stream.SendAsync(writer.Take(), cancellationToken);
                if (!isWhole) await stream.EndAsync(RequestFaults.Gap, cancellationToken);
                return !isWhole;

            case { Kind: FollowKind.Event, Logged.Event: RequestEvent.Finished finished }:
                writer.Finish(finished.Usage);
                await stream.SendAsync(writer.Take(), cancellationToken);
                await stream.EndAsync(null, cancellationToken);
                return true;

            case { Kind: FollowKind.Event, Logged.Event.IsTerminal: true }:
                await stream.EndAsync(ticket.Fault, cancellationToken);
                return true;

            default:
                return false;
        }
    }

    /// <summary>One stream and how far it is.</summary>
    private sealed class Stream(long after, Func<OutputDelta, CancellationToken, Task<bool>> send)
    {
        private readonly long _after = after;
        private long _made;

        /// <summary>The last delta that was sent.</summary>
        public long Sent { get; private set; } = after;

        /// <summary>Nobody hears them any more.</summary>
        public bool IsUnheard { get; private set; }

        public async Task SendAsync(IEnumerable<OutputDelta> deltas, CancellationToken cancellationToken)
        {
            foreach (var delta in deltas)
            {
                if (++_made > _after) await SendAsync(delta with { Sequence = _made }, cancellationToken);
            }
        }

        /// <summary>The last one. What it comes to is behind what was sent, also where nothing of that can be made any more.</summary>
        public Task EndAsync(ServingFault? fault, CancellationToken cancellationToken) =>
            SendAsync(new OutputDelta { Sequence = Math.Max(_made, Sent) + 1, IsLast = true, Fault = fault }, cancellationToken);

        private async Task SendAsync(OutputDelta delta, CancellationToken cancellationToken)
        {
            if (IsUnheard) return;

            IsUnheard = !await send(delta, cancellationToken);
            Sent = delta.Sequence;
        }
    }
}
