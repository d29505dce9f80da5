using System.Threading.Channels;
using Serverless.Loops;

namespace Serverless.Hosting.Redis.Connection;

/// <summary>Work that is due at intervals, and at once when asked for; one run at a time, and what is asked for during a run is done after it.</summary>
internal sealed class RefreshTimer(TimeSpan interval, TimeProvider time)
{
    private readonly Channel<bool> _due = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    /// <summary>Makes it due. Never waits.</summary>
    public void Now() => _due.Writer.TryWrite(true);

    /// <summary>Does the work until stopped.</summary>
    public async Task RunAsync(Func<CancellationToken, Task> work, CancellationToken stoppingToken)
    {
        await using var timer = time.Aligned().CreateTimer(_ => Now(), null, interval, interval);
        try
        {
            await foreach (var _ in _due.Reader.ReadAllAsync(stoppingToken)) await work(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }
}
