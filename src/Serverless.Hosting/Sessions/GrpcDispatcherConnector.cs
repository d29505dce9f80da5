using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.Tls;
using Serverless.Leases;
using Serverless.Loops;
using Serverless.Sessions;

namespace Serverless.Hosting.Sessions;

/// <summary>Finds the dispatcher of a model by its lease, and connects to it over gRPC. Thread-safe.</summary>
public sealed partial class GrpcDispatcherConnector : IDispatcherConnector, IDisposable
{
    /// <summary>Bytes of a dispatcher's longest message: a request's body with the output that an attempt continues from.</summary>
    internal const int MostFromDispatcher = 256 * 1024 * 1024;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1.5);

    /// <summary>A hand-over takes less; after so many tries it is told, once, that there is no dispatcher.</summary>
    private const int PatientTries = 5;

    /// <summary>Of bytes that a dispatcher may send before they are read: a long prompt comes in one go, not in turns of 64 KB.</summary>
    private const int ReceiveWindow = 4 * 1024 * 1024;

    private static readonly TimeSpan WelcomeLimit = TimeSpan.FromSeconds(5);

    private readonly ILeases _leases;
    private readonly WorkerSessionOptions _options;
    private readonly SessionMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly GatewayChannels _channels;

    internal GrpcDispatcherConnector(ILeases leases, IOptions<WorkerSessionOptions> options, SessionMetrics metrics, TimeProvider time, ILoggerFactory loggers)
    {
        (_leases, _options, _metrics, _time, _logger) = (leases, options.Value, metrics, time, loggers.CreateLogger<GrpcDispatcherConnector>());
        var certificates = _options.UsesTls ? new ReloadingCertificates(_options.Files, time, loggers.CreateLogger<ReloadingCertificates>()) : null;
        _channels = new GatewayChannels(address => Open(address, certificates), time);
    }

    /// <inheritdoc/>
    public async ValueTask<IDispatcherLink> ConnectAsync(WorkerDescription worker, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(worker);
        var (backoff, told) = (new Backoff(FirstPause, LongestPause), "");
        for (var tries = 1; ; tries++)
        {
            var reason = "finds no gateway that has it";
            if (await FindAsync(worker.Model, cancellationToken) is { } lease && lease.Epoch >= worker.HighestEpoch)
            {
                (var link, reason) = await TryConnectAsync(worker, lease, cancellationToken);
                if (link is not null) return link;
            }

            if (tries >= PatientTries && reason != told) Waiting(worker.Model, worker.Worker, told = reason);

            await Task.Delay(backoff.Next(), _time, cancellationToken);
        }
    }

    public void Dispose() => _channels.Dispose();

    private async ValueTask<Lease?> FindAsync(ModelName model, CancellationToken cancellationToken)
    {
        try
        {
            return await _leases.ReadAsync(LeaseNames.Dispatcher(model), cancellationToken);
        }
        catch (ServingException exception)
        {
            NotFound(model, exception.Message);
            return null;
        }
    }

    private async ValueTask<(IDispatcherLink? Link, string Reason)> TryConnectAsync(WorkerDescription worker, Lease lease, CancellationToken cancellationToken)
    {
        var use = _channels.Use(lease.Holder);
        var call = new Wire.Sessions.SessionsClient(use.Channel).Connect(cancellationToken: CancellationToken.None);
        using var limit = new CancellationTokenSource(WelcomeLimit, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var abandon = either.Token.Register(call.Dispose);
        var reason = $"is not answered by {lease.Holder}";
        try
        {
            await call.RequestStream.WriteAsync(new Wire.FromWorker { Hello = SessionCodec.ToRecord(worker) }, either.Token);
            if (await call.ResponseStream.MoveNext(either.Token) && call.ResponseStream.Current is { Welcome: { } welcome } && welcome.Epoch >= worker.HighestEpoch)
            {
                if (abandon.Unregister())
                {
                    Found(worker.Worker, worker.Model, lease.Holder);
                    return (new GrpcDispatcherLink(call, welcome.Epoch, use, () => Lost(worker.Worker, worker.Model, lease.Holder), _metrics, _time), "");
                }
            }
        }
        catch (Exception exception) when (SessionFaults.Ends(exception))
        {
            var detail = exception is RpcException refused ? refused.Status.Detail : exception.Message;
            NotConnected(worker.Worker, lease.Holder, detail);
            if (exception is RpcException { StatusCode: StatusCode.PermissionDenied or StatusCode.InvalidArgument or StatusCode.FailedPrecondition or StatusCode.Unauthenticated }) reason = $"is not taken by {lease.Holder}: {detail}";
        }

        call.Dispose();
        use.Dispose();
        cancellationToken.ThrowIfCancellationRequested();
        return (null, reason);
    }

    private GrpcChannel Open(string address, ReloadingCertificates? certificates)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            EnableMultipleHttp2Connections = true,
            InitialHttp2StreamWindowSize = ReceiveWindow,
            ConnectTimeout = WelcomeLimit,
            KeepAlivePingDelay = _options.PingAfter,
            KeepAlivePingTimeout = _options.PingTimeout,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        };
        if (certificates is not null) handler.SslOptions = certificates.Client(_options.ServerName ?? new Uri(address).Host);
        return GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true, MaxReceiveMessageSize = MostFromDispatcher });
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Worker} has found the dispatcher of {Model} at {Address}")]
    private partial void Found(string worker, ModelName model, string address);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Worker} has lost or left the dispatcher of {Model} at {Address}")]
    private partial void Lost(string worker, ModelName model, string address);

    [LoggerMessage(Level = LogLevel.Information, Message = "waiting for a dispatcher of {Model}: {Worker} {Reason}")]
    private partial void Waiting(ModelName model, string worker, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The dispatcher of {Model} cannot be looked up: {Reason} It is tried again.")]
    private partial void NotFound(ModelName model, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Worker {Worker} could not connect to {Address}: {Reason} The lease is looked up again.")]
    private partial void NotConnected(string worker, string address, string reason);
}
