using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Hosting.Sessions;
using Serverless.Sessions;
using Shouldly;
using Wire = Serverless.Hosting.Sessions.Wire;

namespace Serverless.EndToEndTests.Sessions;

public sealed class GrpcWorkerSessionsTests : WorkerSessionsContract
{
    private SessionsHost _host = null!;

    protected override IWorkerSessions Sessions => _host.Sessions;

    protected override IDispatcherConnector Connector => _host.Connector;

    public override async ValueTask InitializeAsync() => _host = await SessionsHost.StartAsync();

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _host.DisposeAsync();
    }

    [Fact]
    public async Task A_gateway_that_does_not_dispatch_the_model_says_so_and_the_lease_is_looked_up_again()
    {
        await using var other = await SessionsHost.StartAsync();
        await _host.LeaseAsync(SessionServices.SessionAddress(other.Options)); // an old lease: nobody accepts there
        var connecting = Connector.ConnectAsync(Worker(), Token).AsTask();

        await AcceptAsync(epoch: 1);

        await using var link = await connecting.WithinLimitAsync();
        link.Epoch.ShouldBe(1);
    }

    [Fact]
    public async Task A_peer_that_falls_silent_is_noticed_by_both_sides()
    {
        await using var relay = new Relay(_host.Options.Port);
        await AcceptAsync(epoch: 1);
        await _host.LeaseAsync($"http://localhost:{relay.Port}");
        var (link, session) = await ConnectAsync(Worker());

        relay.Freeze(); // as a process that was stopped: connections stay open and nothing comes

        (await AllAsync(link.ReadAsync(Token))).ShouldBeEmpty();
        (await AllAsync(session.ReadAsync(Token))).ShouldBeEmpty();
        session.TrySend(new DispatcherMessage.Drain()).ShouldBeFalse();
        await link.DisposeAsync();
    }

    [Theory]
    [InlineData("no hello")]
    [InlineData("version 0")]
    [InlineData("no slots")]
    [InlineData("no model")]
    public async Task What_is_no_hello_is_refused(string fault)
    {
        await AcceptAsync(epoch: 1);
        using var channel = GrpcChannel.ForAddress(SessionServices.SessionAddress(_host.Options));
        using var call = new Wire.Sessions.SessionsClient(channel).Connect(cancellationToken: Token);
        var hello = SessionCodec.ToRecord(Worker());
        if (fault == "version 0") hello.Version = 0;
        if (fault == "no slots") hello.Slots = 0;
        if (fault == "no model") hello.Model = "";

        await call.RequestStream.WriteAsync(fault == "no hello" ? new Wire.FromWorker { Draining = new Wire.Draining() } : new Wire.FromWorker { Hello = hello }, Token);

        (await Should.ThrowAsync<RpcException>(() => call.ResponseStream.MoveNext(Token))).StatusCode.ShouldBe(StatusCode.InvalidArgument);
    }

    [Fact]
    public async Task Nobody_may_send_more_than_a_hello_needs()
    {
        await AcceptAsync(epoch: 1);
        using var channel = GrpcChannel.ForAddress(SessionServices.SessionAddress(_host.Options));
        using var call = new Wire.Sessions.SessionsClient(channel).Connect(cancellationToken: Token);
        var hello = SessionCodec.ToRecord(Worker());
        hello.Engine = new string('x', 300 * 1024);

        var answer = call.ResponseStream.MoveNext(Token);
        try
        {
            await call.RequestStream.WriteAsync(new Wire.FromWorker { Hello = hello }, Token);
        }
        catch (RpcException)
        {
            // Refused while it was being sent, which says only that no more can be: why is what is answered.
        }

        var thrown = await Should.ThrowAsync<RpcException>(() => answer);
        thrown.StatusCode.ShouldBe(StatusCode.ResourceExhausted, thrown.ToString());
    }

    [Theory]
    [InlineData("pool", "none-cpu")]
    [InlineData("model", "other")]
    [InlineData("slots", "65536")]
    [InlineData("kv", "900000000")]
    public async Task A_worker_that_the_catalogue_does_not_know_is_refused(string field, string value)
    {
        await AcceptAsync(epoch: 1);
        using var channel = GrpcChannel.ForAddress(SessionServices.SessionAddress(_host.Options));
        using var call = new Wire.Sessions.SessionsClient(channel).Connect(cancellationToken: Token);
        var hello = SessionCodec.ToRecord(Worker());
        if (field == "pool") hello.Pool = value;
        if (field == "model") hello.Model = value;
        if (field == "slots") hello.Slots = int.Parse(value, CultureInfo.InvariantCulture);
        if (field == "kv") hello.KvCapacityTokens = long.Parse(value, CultureInfo.InvariantCulture);

        await call.RequestStream.WriteAsync(new Wire.FromWorker { Hello = hello }, Token);

        var thrown = await Should.ThrowAsync<RpcException>(() => call.ResponseStream.MoveNext(Token));
        thrown.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        thrown.Status.Detail.ShouldContain(value);
    }

    [Fact]
    public void Channels_of_gateways_that_are_gone_are_closed()
    {
        var time = new TestClock();
        using var channels = new GatewayChannels(address => GrpcChannel.ForAddress(address), time);
        var stays = channels.Use("http://127.0.0.1:1");
        for (var port = 2; port < 100; port++)
        {
            channels.Use($"http://127.0.0.1:{port}").Dispose();
            time.Advance(TimeSpan.FromSeconds(2));
        }

        channels.Count.ShouldBeLessThan(40);
        time.Advance(TimeSpan.FromMinutes(2));
        channels.Use("http://127.0.0.1:100").Dispose();
        channels.Count.ShouldBe(2);
        stays.Dispose();
    }

    [Fact]
    public async Task A_later_release_is_understood_as_far_as_it_is_known()
    {
        await AcceptAsync(epoch: 3);
        using var channel = GrpcChannel.ForAddress(SessionServices.SessionAddress(_host.Options));
        using var call = new Wire.Sessions.SessionsClient(channel).Connect(cancellationToken: Token);
        var hello = SessionCodec.ToRecord(Worker());
        hello.Version = 2;
        await call.RequestStream.WriteAsync(new Wire.FromWorker { Hello = hello }, Token);
        var session = await NextAsync();

        await call.RequestStream.WriteAsync(new Wire.FromWorker(), Token); // a kind of message that does not exist yet
        await call.RequestStream.WriteAsync(new Wire.FromWorker { Draining = new Wire.Draining() }, Token);
        await call.RequestStream.CompleteAsync();

        (await AllAsync(session.ReadAsync(Token))).ShouldBe([new WorkerMessage.Draining()]);
    }

    protected override async Task AcceptAsync(long epoch)
    {
        await base.AcceptAsync(epoch);
        await _host.LeaseAsync();
    }

    /// <summary>A TCP relay that can stop relaying.</summary>
    private sealed class Relay : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _accepting;
        private volatile bool _frozen;

        public Relay(int to)
        {
            _listener.Start();
            Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
            _accepting = AcceptAsync(to);
        }

        public int Port { get; }

        public void Freeze() => _frozen = true;

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            _listener.Stop();
            await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _stop.Dispose();
        }

        private async Task AcceptAsync(int to)
        {
            var open = new List<Task>();
            try
            {
                while (true) open.Add(RelayAsync(await _listener.AcceptTcpClientAsync(_stop.Token), to));
            }
            finally
            {
                await Task.WhenAll(open).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        private async Task RelayAsync(TcpClient near, int to)
        {
            using (near)
            using (var far = new TcpClient())
            {
                await far.ConnectAsync(IPAddress.Loopback, to, _stop.Token);
                await Task.WhenAll(CopyAsync(near.GetStream(), far.GetStream()), CopyAsync(far.GetStream(), near.GetStream()));
            }
        }

        private async Task CopyAsync(NetworkStream from, NetworkStream to)
        {
            var buffer = new byte[65536];
            while (await from.ReadAsync(buffer, _stop.Token) is var read and > 0)
            {
                if (_frozen) await new TaskCompletionSource().Task.WaitAsync(_stop.Token);
                await to.WriteAsync(buffer.AsMemory(0, read), _stop.Token);
            }
        }
    }
}
