using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests.Keda;

/// <summary>The scaler's own program, over a real Redis: it can be killed and stopped.</summary>
internal sealed class ScalerProcess : IScalerUnderTest
{
    private const int Attempts = 3;

    private readonly PartProcess _process;

    private ScalerProcess(PartProcess process, int port) => (_process, Port) = (process, port);

    public int Port { get; }

    public static async Task<ScalerProcess> StartAsync(RedisServer redis, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var (port, http) = (PartProcess.FreePort(), PartProcess.FreePort());
            var process = new ScalerProcess(Start(redis, port, http), port);
            try
            {
                using var client = new HttpClient();
                await process._process.ReadyAsync(async token => (await client.GetAsync(new Uri($"http://127.0.0.1:{http}/readyz"), token)).IsSuccessStatusCode, cancellationToken);
                return process;
            }
            catch (InvalidOperationException exception) when (attempt < Attempts && exception.Message.Contains("address already in use", StringComparison.OrdinalIgnoreCase))
            {
                await process.DisposeAsync(); // another program took the port between its choice and its use
            }
            catch
            {
                await process.DisposeAsync();
                throw;
            }
        }
    }

    public Task BefallAsync(Fault fault) => _process.SignalAsync(fault switch
    {
        Fault.Killed => "KILL",
        Fault.Stopped => "STOP",
        Fault.None => "CONT",
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, "A process is killed or stopped; it does not hang or fail by order."),
    });

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static PartProcess Start(RedisServer redis, int port, int http)
    {
        var built = new DirectoryInfo(AppContext.BaseDirectory);
        var program = Path.Combine(built.Parent!.Parent!.FullName, "Serverless.Scaler", built.Name, "Serverless.Scaler.dll");
        return PartProcess.Start("scaler", "dotnet", [program], new Dictionary<string, string>
        {
            ["Redis__Configuration"] = redis.Configuration,
            ["Distributed__Http"] = $"http://127.0.0.1:{http}",
            ["Scaler__Keda"] = $"http://127.0.0.1:{port}",
            ["Scaler__AskBroker"] = "false",
        });
    }
}
