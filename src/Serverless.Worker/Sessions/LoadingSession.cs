using Serverless.Loops;
using Serverless.Sessions;

namespace Serverless.Worker.Sessions;

/// <summary>Registers a replica while its engine loads, so that those who wait and those who scale see it coming.</summary>
internal sealed class LoadingSession(WorkerDescription worker, Func<(double Share, bool Pulling)> progress, IDispatcherConnector connector, ILoopObserver loops, TimeProvider time)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ReportInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>Says how far it is until it is cancelled. Never throws: a replica loads, whoever hears of it.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var backoff = new Backoff(FirstPause, LongestPause);
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await using var link = await connector.ConnectAsync(worker with { Loading = true }, cancellationToken);
                await ReportAsync(link, cancellationToken);
                backoff.Reset();
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                var pause = backoff.Next();
                loops.Failed("loading-session", worker.Worker, exception, pause);
                await Task.Delay(pause, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception)
            {
                return; // it was cancelled
            }
        }
    }

    private async Task ReportAsync(IDispatcherLink link, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reading = ReadAsync(link, ended);
        using var timer = new PeriodicTimer(ReportInterval, time);
        var sent = (0.0, false);
        try
        {
            do
            {
                var now = progress();
                if (now == sent) continue;
                if (!await link.SendAsync(new WorkerMessage.Report(WorkerLoad.Idle with { LoadingProgress = now.Share, Pulling = now.Pulling }), ended.Token)) return;
                sent = now;
            }
            while (await timer.WaitForNextTickAsync(ended.Token));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The session ended; the next one is found.
        }
        finally
        {
            await ended.CancelAsync();
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task ReadAsync(IDispatcherLink link, CancellationTokenSource ended)
    {
        await foreach (var _ in link.ReadAsync(ended.Token))
        {
            // Nothing is assigned to a loading worker.
        }

        await ended.CancelAsync();
    }
}
