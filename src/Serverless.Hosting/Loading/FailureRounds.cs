using System.Globalization;
using Serverless.Engines;
using Serverless.Loops;

namespace Serverless.Hosting.Loading;

/// <summary>The failures of one file's connections: how long to wait after each, and when it is enough. Thread-safe.</summary>
internal sealed class FailureRounds(string name, ModelOptions options, HubHttp http)
{
    private readonly Lock _lock = new();
    private readonly Backoff _pauses = http.Pauses();
    private (int Number, TimeSpan Pause) _round;

    /// <summary>The one that what begins now is of.</summary>
    public int Current
    {
        get
        {
            lock (_lock) return _round.Number;
        }
    }

    /// <summary>Tries until it is done, or has failed so often in a row without progress.</summary>
    public async Task<T> TryAsync<T>(Func<Task<T>> work, Func<bool> progressed, CancellationToken cancellationToken)
    {
        while (true)
        {
            var round = Current;
            try
            {
                var done = await work();
                Begin();
                return done;
            }
            catch (Exception exception) when (exception is HttpRequestException or BusyException)
            {
                if (progressed()) round = Begin();
                await PauseAsync(exception, round, cancellationToken);
            }
        }
    }

    /// <summary>There was progress: what fails next is the first in a row.</summary>
    private int Begin()
    {
        lock (_lock)
        {
            _pauses.Reset();
            _round = (_round.Number + 1, TimeSpan.Zero);
            return _round.Number;
        }
    }

    /// <summary>Waits as long as after so many failures in a row. What fails on several connections at once, since the same cut, is one failure: those that began in a round share its pause.</summary>
    public async Task PauseAsync(Exception exception, int round, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested(); // a connection that was cut for it fails too
        TimeSpan pause;
        lock (_lock)
        {
            if (round == _round.Number) _round = (round + 1, _pauses.Next());
            pause = HubHttp.Longer(exception, _round.Pause);
            if (_pauses.Failures >= options.MaxFailures) throw new ModelPullException(string.Create(CultureInfo.InvariantCulture, $"{name} cannot be pulled; it failed {_pauses.Failures} times in a row, lastly so: {exception.Message}. What arrived is kept, and the next pull goes on."), exception);
        }

        await Task.Delay(pause, http.Time, cancellationToken);
    }
}
