using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Sessions;

namespace Serverless.Hosting.Sessions;

/// <summary><c>worker.v1.Sessions</c>: the door for workers, on the port that is theirs.</summary>
internal sealed partial class SessionsService(
    GrpcWorkerSessions sessions, SessionDoor door, ICatalogSource catalog, IOptions<WorkerSessionOptions> options, SessionMetrics metrics, TimeProvider time, ILogger<SessionsService> logger) : Wire.Sessions.SessionsBase
{
    private static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(10);

    public override async Task Connect(IAsyncStreamReader<Wire.FromWorker> requestStream, IServerStreamWriter<Wire.FromDispatcher> responseStream, ServerCallContext context)
    {
        var http = context.GetHttpContext();
        if (options.Value.Port != 0 && http.Connection.LocalPort != options.Value.Port) throw new RpcException(new Status(StatusCode.Unimplemented, "Workers have a port of their own."));

        var worker = await ReadHelloAsync(requestStream, context);
        if (Find(worker, http) is { } fault) throw Refuse("worker", fault.Code, $"Worker '{worker.Worker}' is refused: {fault.Reason}.", context);

        await sessions.ServeAsync(worker, requestStream, responseStream, () => LogJoined(worker.Worker, worker.Pool, context.Peer, worker.Slots), context.CancellationToken);
        LogLeft(worker.Worker, worker.Pool);
    }

    private (StatusCode Code, string Reason)? Find(WorkerDescription worker, HttpContext http)
    {
        if (http.Connection.ClientCertificate is { } certificate && !WorkerCheck.SpeaksFor(certificate, worker))
            return (StatusCode.PermissionDenied, $"its certificate '{certificate.Subject}' speaks for another; issue one that names the worker, its host or its pool");
        return WorkerCheck.Find(worker, catalog.Current) is { } reason ? (StatusCode.FailedPrecondition, reason) : null;
    }

    private async Task<WorkerDescription> ReadHelloAsync(IAsyncStreamReader<Wire.FromWorker> requestStream, ServerCallContext context)
    {
        if (!door.TryKnock()) throw Refuse("crowd", StatusCode.ResourceExhausted, $"More than {SessionDoor.MostWaiting} callers have not said hello yet.", context);

        using var limit = new CancellationTokenSource(HelloLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, context.CancellationToken);
        try
        {
            if (await requestStream.MoveNext(either.Token) && requestStream.Current.KindCase == Wire.FromWorker.KindOneofCase.Hello) return SessionCodec.FromRecord(requestStream.Current.Hello);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
        }
        catch (InvalidDataException exception)
        {
            throw Refuse("hello", StatusCode.InvalidArgument, exception.Message, context);
        }
        finally
        {
            door.Leave();
        }

        throw Refuse("hello", StatusCode.InvalidArgument, $"A session begins with the worker's hello, within {HelloLimit.TotalSeconds:F0} s.", context);
    }

    private RpcException Refuse(string kind, StatusCode code, string reason, ServerCallContext context)
    {
        metrics.Refused(kind);
        LogRefused(context.Peer, reason);
        return new RpcException(new Status(code, reason), reason);
    }

    [LoggerMessage(LogLevel.Information, "{Worker} of pool {Pool} joined from {Peer} with {Slots} slots")]
    private partial void LogJoined(string worker, PoolName pool, string peer, int slots);

    [LoggerMessage(LogLevel.Information, "{Worker} of pool {Pool} left")]
    private partial void LogLeft(string worker, PoolName pool);

    [LoggerMessage(LogLevel.Warning, "Refused a session from {Peer}: {Reason}")]
    private partial void LogRefused(string peer, string reason);
}

/// <summary>Bounds how many are between their connection and their hello. Thread-safe.</summary>
internal sealed class SessionDoor
{
    public const int MostWaiting = 1024;

    private int _waiting;

    public bool TryKnock()
    {
        if (Interlocked.Increment(ref _waiting) <= MostWaiting) return true;
        Leave();
        return false;
    }

    public void Leave() => Interlocked.Decrement(ref _waiting);
}
