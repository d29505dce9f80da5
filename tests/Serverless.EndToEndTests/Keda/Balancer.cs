using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using Serverless.Scaler.Protos;

namespace Serverless.EndToEndTests.Keda;

/// <summary>
/// One address before several scalers, as a Service with probes is: a connection goes to a backend that answers its health, in turn; one that did not for two seconds loses its connections, as a
/// container does whose liveness probe fails.
/// </summary>
internal sealed class Balancer : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ProbeLimit = TimeSpan.FromSeconds(1);
    private const int Patience = 2;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly List<Backend> _backends = [];
    private readonly List<Task> _running = [];
    private int _turn;

    public Balancer(params IScalerUnderTest[] scalers)
    {
        _listener.Start();
        foreach (var scaler in scalers) Add(scaler);
        _running.Add(AcceptAsync());
    }

    public string Address => $"127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>The scaler that has connections now, the most of them.</summary>
    public IScalerUnderTest Serving
    {
        get
        {
            lock (_lock) return _backends.MaxBy(backend => backend.Open.Count)!.Scaler;
        }
    }

    /// <summary>Whether every scaler that answers at all says that this pool is active.</summary>
    public async Task<bool> SaysActiveAsync(string pool, CancellationToken cancellationToken)
    {
        Backend[] backends;
        lock (_lock) backends = [.. _backends.Where(backend => backend.Missed == 0)];
        foreach (var backend in backends)
        {
            using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{backend.Scaler.Port}");
            var answer = await new ExternalScaler.ExternalScalerClient(channel).IsActiveAsync(new ScaledObjectRef { Name = pool, Namespace = KedaCluster.Namespace }, cancellationToken: cancellationToken);
            if (!answer.Result) return false;
        }

        return backends.Length > 0;
    }

    public void Add(IScalerUnderTest scaler)
    {
        var backend = new Backend(scaler);
        lock (_lock)
        {
            _backends.Add(backend);
            _running.Add(ProbeAsync(backend));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        foreach (var backend in _backends) backend.Cut();
        await Task.WhenAll(_running);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var client = await _listener.AcceptSocketAsync(_stop.Token);
                Backend? backend;
                lock (_lock)
                {
                    var healthy = _backends.Where(candidate => candidate.Missed < Patience).ToArray();
                    backend = healthy.Length == 0 ? null : healthy[_turn++ % healthy.Length];
                }

                if (backend is null) Reset(client);
                else _ = RelayAsync(client, backend);
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
            {
            }
        }
    }

    private async Task RelayAsync(Socket client, Backend backend)
    {
        using var server = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, backend.Scaler.Port, _stop.Token);
            client.NoDelay = server.NoDelay = true;
            lock (_lock) backend.Open.Add(client);
            await Task.WhenAny(CopyAsync(client, server, _stop.Token), CopyAsync(server, client, _stop.Token));
        }
        catch (Exception exception) when (exception is SocketException or OperationCanceledException or ObjectDisposedException)
        {
        }
        finally
        {
            lock (_lock) backend.Open.Remove(client);
            Reset(client);
        }
    }

    private static async Task CopyAsync(Socket from, Socket to, CancellationToken cancellationToken)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer, SocketFlags.None, cancellationToken) is > 0 and var count)
            {
                for (var sent = 0; sent < count;) sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), SocketFlags.None, cancellationToken);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException or OperationCanceledException)
        {
        }
    }

    private static void Reset(Socket socket)
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Dispose();
    }

    private async Task ProbeAsync(Backend backend)
    {
        using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{backend.Scaler.Port}");
        var health = new Health.HealthClient(channel);
        using var pace = new PeriodicTimer(Interval, TimeProvider.System);
        try
        {
            do
            {
                backend.Missed = await IsAliveAsync(health) ? 0 : backend.Missed + 1;
                if (backend.Missed == Patience) lock (_lock) backend.Cut();
            }
            while (await pace.WaitForNextTickAsync(_stop.Token));
        }
        catch (OperationCanceledException)
        {
        }
    }

    private async Task<bool> IsAliveAsync(Health.HealthClient health)
    {
        using var limit = new CancellationTokenSource(ProbeLimit, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stop.Token);
        try
        {
            return (await health.CheckAsync(new HealthCheckRequest { Service = "live" }, cancellationToken: either.Token)).Status == HealthCheckResponse.Types.ServingStatus.Serving;
        }
        catch (RpcException)
        {
            return false;
        }
    }

    private sealed class Backend(IScalerUnderTest scaler)
    {
        public IScalerUnderTest Scaler => scaler;

        public List<Socket> Open { get; } = [];

        public int Missed { get; set; }

        public void Cut()
        {
            foreach (var socket in Open.ToArray()) Reset(socket);
        }
    }
}
