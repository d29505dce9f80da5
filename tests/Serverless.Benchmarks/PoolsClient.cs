using System.Diagnostics;
using System.Globalization;
using Grpc.Net.Client;
using Serverless.Scaler.Protos;

namespace Serverless.Benchmarks;

/// <summary>
/// KEDA's side of ten thousand pools in a process of its own, so that neither its processor time nor its garbage (a .NET client rents 16 KiB for each message) counts as the scaler's. It takes orders, one
/// a line, and answers each with a line: <c>expect True</c> once every stream has said so, <c>poll N</c> with the percentiles of N polls.
/// </summary>
internal sealed class PoolsClient : IAsyncDisposable
{
    public const int AtOnce = 16;

    private readonly Process _process;

    private PoolsClient(Process process) => _process = process;

    public static PoolsClient Start(string address, int pools)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, ["pools-client", address, pools.ToString(CultureInfo.InvariantCulture)]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["DOTNET_GCgen0size"] = "0x20000000"; // collections of the client's would look like the scaler's delays
        return new PoolsClient(Process.Start(start)!);
    }

    /// <summary>This process is the client, until its input ends.</summary>
    public static async Task ServeAsync(string address, int pools)
    {
        using var channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = new SocketsHttpHandler { EnableMultipleHttp2Connections = false } });
        var client = new ExternalScaler.ExternalScalerClient(channel);
        var pushed = new Pushed(pools);
        for (var number = 0; number < pools; number++) _ = ListenAsync(client, number, pushed);
        while (await Console.In.ReadLineAsync() is { } order)
        {
            switch (order.Split(' '))
            {
                case ["expect", var state]:
                    await pushed.AllAsync(bool.Parse(state));
                    Console.WriteLine(state);
                    break;
                case ["poll", var calls]:
                    var times = await PollAsync(client, pools, int.Parse(calls, CultureInfo.InvariantCulture));
                    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"p50 {times.At(0.5).TotalMilliseconds:F2} ms, p99 {times.At(0.99).TotalMilliseconds:F2} ms"));
                    break;
            }
        }
    }

    /// <summary>Gives an order; ends when it is carried out.</summary>
    public async Task<string> AskAsync(string order)
    {
        await _process.StandardInput.WriteLineAsync(order);
        await _process.StandardInput.FlushAsync();
        return await _process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException($"The client ended at '{order}'.");
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private static async Task<TimeSpan[]> PollAsync(ExternalScaler.ExternalScalerClient client, int pools, int calls)
    {
        var times = new TimeSpan[calls];
        await Parallel.ForEachAsync(Enumerable.Range(0, calls), new ParallelOptions { MaxDegreeOfParallelism = AtOnce }, async (call, token) =>
        {
            var began = TimeProvider.System.GetTimestamp();
            await client.GetMetricsAsync(new GetMetricsRequest { ScaledObjectRef = ScalerUnderLoad.Reference(call % pools), MetricName = "desired-replicas" }, cancellationToken: token);
            times[call] = TimeProvider.System.GetElapsedTime(began);
        });
        return times;
    }

    private static async Task ListenAsync(ExternalScaler.ExternalScalerClient client, int number, Pushed pushed)
    {
        using var stream = client.StreamIsActive(ScalerUnderLoad.Reference(number));
        while (await stream.ResponseStream.MoveNext(CancellationToken.None)) pushed.Saw(number, stream.ResponseStream.Current.Result);
    }

    /// <summary>What each stream said last.</summary>
    private sealed class Pushed(int pools)
    {
        private readonly Lock _lock = new();
        private readonly bool?[] _said = new bool?[pools];
        private TaskCompletionSource _all = new();
        private bool _expected;
        private int _count;

        public void Saw(int number, bool active)
        {
            lock (_lock)
            {
                if (_said[number] == active) return;

                _count += active == _expected ? 1 : _said[number] == _expected ? -1 : 0;
                _said[number] = active;
                if (_count == pools) _all.TrySetResult();
            }
        }

        public Task AllAsync(bool active)
        {
            lock (_lock)
            {
                (_expected, _count) = (active, _said.Count(said => said == active));
                _all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                if (_count == pools) _all.SetResult();
                return _all.Task;
            }
        }
    }
}
