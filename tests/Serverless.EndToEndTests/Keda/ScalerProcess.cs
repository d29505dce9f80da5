using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests.Keda;

/// <summary>The scaler's own program, over a real Redis: it can be killed and stopped.</summary>
internal sealed class ScalerProcess : IScalerUnderTest
{
    private readonly PartProcess _process;

    private ScalerProcess(PartProcess process, int port) => (_process, Port) = (process, port);

    public int Port { get; }

    public string Output => _process.Output;

    public static async Task<ScalerProcess> StartAsync(RedisServer redis, CancellationToken cancellationToken)
    {
        var (port, http) = (PartProcess.FreePort(), PartProcess.FreePort());
        var built = new DirectoryInfo(AppContext.BaseDirectory);
        var program = Path.Combine(built.Parent!.Parent!.FullName, "Serverless.Scaler", built.Name, "Serverless.Scaler.dll");
        var process = PartProcess.Start("scaler", "dotnet", [program], new Dictionary<string, string>
        {
            ["Redis__Configuration"] = redis.Configuration,
            ["Distributed__Http"] = $"http://127.0.0.1:{http}",
            ["Scaler__Keda"] = $"http://127.0.0.1:{port}",
            ["Scaler__AskBroker"] = "false",
            ["DOTNET_gcServer"] = "0",
        });
        var scaler = new ScalerProcess(process, port);
        try
        {
            using var client = new HttpClient();
            await process.ReadyAsync(async token => (await client.GetAsync(new Uri($"http://127.0.0.1:{http}/readyz"), token)).IsSuccessStatusCode, cancellationToken);
            return scaler;
        }
        catch
        {
            await scaler.DisposeAsync();
            throw;
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
}
