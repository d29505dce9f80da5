using System.Collections.Concurrent;
using System.Net.Security;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Leases;
using Serverless.Sessions;

namespace Serverless.Hosting.Sessions;

/// <summary>Finds the dispatcher of a model by its lease, and connects to it over gRPC. Thread-safe.</summary>
public sealed partial class GrpcDispatcherConnector(ILeases leases, IOptions<WorkerSessionOptions> options, TimeProvider time, ILogger<GrpcDispatcherConnector> logger) : IDispatcherConnector, IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);
    /// <summary>Of bytes that a dispatcher may send before they are read: a long prompt comes in one go, not in turns of 64 KB.</summary>
    private const int ReceiveWindow = 4 * 1024 * 1024;

    private static readonly TimeSpan WelcomeLimit = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, Lazy<GrpcChannel>> _channels = new(StringComparer.Ordinal);
    private readonly SessionCertificates? _certificates = options.Value.UsesTls ? new SessionCertificates(options.Value) : null;

    /// <inheritdoc/>
    public async ValueTask<IDispatcherLink> ConnectAsync(WorkerDescription worker, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(worker);
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            if (await FindAsync(worker.Model, cancellationToken) is { } lease && lease.Epoch >= worker.HighestEpoch && await TryConnectAsync(worker, lease, cancellationToken) is { } link) return link;

            // Jitter: the workers of a lost dispatcher do not come all at once.
            await Task.Delay(pause * (0.5 + Random.Shared.NextDouble()), time, cancellationToken);
        }
    }

    public void Dispose()
    {
        foreach (var channel in _channels.Values.Where(channel => channel.IsValueCreated)) channel.Value.Dispose();
        _certificates?.Dispose();
    }

    private async ValueTask<Lease?> FindAsync(ModelName model, CancellationToken cancellationToken)
    {
        try
        {
            return await leases.ReadAsync(LeaseNames.Dispatcher(model), cancellationToken);
        }
        catch (ServingException exception)
        {
            NotFound(model, exception.Message);
            return null;
        }
    }

    private async ValueTask<IDispatcherLink?> TryConnectAsync(WorkerDescription worker, Lease lease, CancellationToken cancellationToken)
    {
        var call = new Wire.Sessions.SessionsClient(ChannelTo(lease.Holder)).Connect(cancellationToken: CancellationToken.None);
        using var limit = new CancellationTokenSource(WelcomeLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var abandon = either.Token.Register(call.Dispose);
        try
        {
            await call.RequestStream.WriteAsync(new Wire.FromWorker { Hello = SessionCodec.ToRecord(worker) }, either.Token);
            if (await call.ResponseStream.MoveNext(either.Token) && call.ResponseStream.Current is { Welcome: { } welcome } && welcome.Epoch >= worker.HighestEpoch)
            {
                if (abandon.Unregister()) return new GrpcDispatcherLink(call, welcome.Epoch, time);
            }
        }
        catch (Exception exception) when (SessionFaults.Ends(exception))
        {
            NotConnected(worker.Worker, lease.Holder, exception is RpcException { Status.Detail: var detail } ? detail : exception.Message);
        }

        call.Dispose();
        cancellationToken.ThrowIfCancellationRequested();
        return null;
    }

    private GrpcChannel ChannelTo(string address) => _channels.GetOrAdd(address, static (to, connector) => new Lazy<GrpcChannel>(() => connector.Open(to)), this).Value;

    private GrpcChannel Open(string address)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            EnableMultipleHttp2Connections = true,
            InitialHttp2StreamWindowSize = ReceiveWindow,
            ConnectTimeout = WelcomeLimit,
            KeepAlivePingDelay = options.Value.PingAfter,
            KeepAlivePingTimeout = options.Value.PingTimeout,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        };
        if (_certificates is not null)
        {
            handler.SslOptions = new SslClientAuthenticationOptions
            {
                ClientCertificates = [_certificates.Own],
                CertificateChainPolicy = _certificates.Policy(),
                TargetHost = options.Value.ServerName ?? new Uri(address).Host,
            };
        }

        return GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true, MaxReceiveMessageSize = null, MaxSendMessageSize = null });
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The dispatcher of {Model} cannot be looked up: {Reason} It is tried again.")]
    private partial void NotFound(ModelName model, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Worker {Worker} could not connect to {Address}: {Reason} The lease is looked up again.")]
    private partial void NotConnected(string worker, string address, string reason);
}
