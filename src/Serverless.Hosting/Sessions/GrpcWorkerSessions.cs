using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Grpc.Core;
using Serverless.Catalog;
using Serverless.Sessions;

namespace Serverless.Hosting.Sessions;

/// <summary>
/// The dispatchers' end of worker sessions over gRPC. A worker whose model is not dispatched here is told so and looks up who does. Thread-safe.
/// </summary>
public sealed class GrpcWorkerSessions : IWorkerSessions
{
    private const int MaxWaitingWorkers = 1024;

    private readonly ConcurrentDictionary<ModelName, Door> _doors = new();
    private readonly SessionMetrics _metrics;

    internal GrpcWorkerSessions(SessionMetrics metrics) => _metrics = metrics;

    /// <inheritdoc/>
    public async IAsyncEnumerable<IWorkerSession> AcceptAsync(ModelName model, long epoch, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var door = new Door(epoch, Channel.CreateBounded<GrpcWorkerSession>(new BoundedChannelOptions(MaxWaitingWorkers) { SingleReader = true }));
        _doors[model] = door;
        try
        {
            await foreach (var session in door.Arrivals.Reader.ReadAllAsync(cancellationToken)) yield return session;
        }
        finally
        {
            _doors.TryRemove(KeyValuePair.Create(model, door));
            door.Arrivals.Writer.TryComplete();
            while (door.Arrivals.Reader.TryRead(out var unseen)) unseen.Close();
        }
    }

    /// <summary>Lets a worker in, and serves its session to the end.</summary>
    /// <exception cref="RpcException">It is not for here: another gateway dispatches its model, or none.</exception>
    internal async Task ServeAsync(WorkerDescription worker, IAsyncStreamReader<Wire.FromWorker> incoming, IAsyncStreamWriter<Wire.FromDispatcher> outgoing, Action joined, CancellationToken cancellationToken)
    {
        if (!_doors.TryGetValue(worker.Model, out var door)) throw Elsewhere($"This gateway does not dispatch '{worker.Model}'.");
        if (door.Epoch < worker.HighestEpoch) throw Elsewhere($"The dispatcher of '{worker.Model}' has epoch {door.Epoch}; the worker has followed {worker.HighestEpoch}.");

        using var session = new GrpcWorkerSession(worker, incoming, _metrics, cancellationToken);
        await outgoing.WriteAsync(new Wire.FromDispatcher { Welcome = new Wire.Welcome { Epoch = door.Epoch } }, cancellationToken);
        if (!door.Arrivals.Writer.TryWrite(session)) throw Elsewhere($"The dispatcher of '{worker.Model}' is leaving.");

        joined();
        await session.SendAllAsync(outgoing);
    }

    private static RpcException Elsewhere(string detail) => new(new Status(StatusCode.Unavailable, detail + " Look up its lease again."));

    private sealed record Door(long Epoch, Channel<GrpcWorkerSession> Arrivals);
}
