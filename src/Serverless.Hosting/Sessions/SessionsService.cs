using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Sessions;

/// <summary><c>worker.v1.Sessions</c>: the door for workers, on the port that is theirs.</summary>
internal sealed class SessionsService(GrpcWorkerSessions sessions, IOptions<WorkerSessionOptions> options, TimeProvider time) : Wire.Sessions.SessionsBase
{
    private static readonly TimeSpan HelloLimit = TimeSpan.FromSeconds(10);

    public override async Task Connect(IAsyncStreamReader<Wire.FromWorker> requestStream, IServerStreamWriter<Wire.FromDispatcher> responseStream, ServerCallContext context)
    {
        var connection = context.GetHttpContext().Connection;
        if (options.Value.Port != 0 && connection.LocalPort != options.Value.Port) throw new RpcException(new Status(StatusCode.Unimplemented, "Workers have a port of their own."));

        var hello = await ReadHelloAsync(requestStream, context.CancellationToken);
        try
        {
            await sessions.ServeAsync(SessionCodec.FromRecord(hello), requestStream, responseStream, context.CancellationToken);
        }
        catch (InvalidDataException exception)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, exception.Message), exception.Message);
        }
    }

    private async Task<Wire.Hello> ReadHelloAsync(IAsyncStreamReader<Wire.FromWorker> requestStream, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(HelloLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            if (await requestStream.MoveNext(either.Token) && requestStream.Current.KindCase == Wire.FromWorker.KindOneofCase.Hello) return requestStream.Current.Hello;
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
        }

        throw new RpcException(new Status(StatusCode.InvalidArgument, "A session begins with the worker's hello."));
    }
}
