namespace Serverless.Hosting.Loading;

/// <summary>Those of this process who want the same share one pull; it goes on as long as one of them waits. Thread-safe.</summary>
internal sealed class SharedPulls
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Shared> _running = new(StringComparer.Ordinal);

    /// <summary>Begins it, or joins the one that runs.</summary>
    public async Task RunAsync(string key, Func<IProgress<double>, CancellationToken, Task> pull, IProgress<double> progress, CancellationToken cancellationToken)
    {
        Shared? shared;
        lock (_lock)
        {
            if (!_running.TryGetValue(key, out shared))
            {
                shared = _running[key] = new Shared();
                shared.Pulling = Task.Run(() => pull(shared, shared.Stop.Token), CancellationToken.None);
            }

            shared.Join(progress);
        }

        try
        {
            await shared.Pulling.WaitAsync(cancellationToken);
        }
        finally
        {
            var last = false;
            lock (_lock)
            {
                last = shared.Leave(progress);
                if ((last || shared.Pulling.IsCompleted) && _running.GetValueOrDefault(key) == shared) _running.Remove(key);
            }

            if (last) await LeaveAsync(shared);
        }
    }

    private static async Task LeaveAsync(Shared shared)
    {
        await shared.Stop.CancelAsync();
        await shared.Pulling.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // it notes what arrived
        shared.Stop.Dispose();
    }

    private sealed class Shared : IProgress<double>
    {
        private readonly List<IProgress<double>> _told = [];

        public CancellationTokenSource Stop { get; } = new();

        public Task Pulling { get; set; } = Task.CompletedTask;

        public void Join(IProgress<double> progress)
        {
            lock (_told) _told.Add(progress);
        }

        /// <summary>Whether it was the last.</summary>
        public bool Leave(IProgress<double> progress)
        {
            lock (_told)
            {
                _told.Remove(progress);
                return _told.Count == 0;
            }
        }

        public void Report(double value)
        {
            IProgress<double>[] told;
            lock (_told) told = [.. _told];
            foreach (var each in told) each.Report(value);
        }
    }
}
