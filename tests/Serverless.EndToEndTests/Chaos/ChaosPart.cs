using Serverless.EndToEndTests.Parts;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>A process that is killed, started again on the same address, stopped and continued.</summary>
internal sealed class ChaosPart(string name, Func<PartProcess> process, Func<Task> kill, Func<CancellationToken, Task> start)
{
    public string Name => name;

    /// <summary>The last it said.</summary>
    public string Output => process().Output;

    /// <summary>Bytes of memory it has now.</summary>
    public long Memory => process().ResidentBytes;

    /// <summary>SIGKILL.</summary>
    public Task KillAsync() => kill();

    /// <summary>Starts it again, until it is ready.</summary>
    public Task StartAsync(CancellationToken cancellationToken) => start(cancellationToken);

    /// <summary>SIGKILL, and it is there again after so long.</summary>
    public async Task DieAsync(TimeSpan down, CancellationToken cancellationToken)
    {
        await KillAsync();
        await RealTime.PassAsync(down, cancellationToken);
        await StartAsync(cancellationToken);
    }

    /// <summary>SIGSTOP.</summary>
    public Task StopAsync() => process().SignalAsync("STOP");

    /// <summary>SIGCONT.</summary>
    public Task ContinueAsync() => process().SignalAsync("CONT");

    /// <summary>SIGTERM, and its end.</summary>
    public async Task LeaveAsync()
    {
        await process().SignalAsync("TERM");
        await process().ExitedAsync(CancellationToken.None);
    }
}
