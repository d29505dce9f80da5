using System.Diagnostics.CodeAnalysis;

namespace Serverless.Inference.Kernels;

/// <summary>
/// Runs one function on a fixed set of threads at once (single program, multiple data), with barriers inside it. Whoever waits spins briefly, yields some times and then sleeps, so that
/// a machine shared with others, or a container with less than a core for each thread, loses little; work inside a phase is handed out in chunks, so that a disturbed thread holds up none.
/// </summary>
internal sealed class WorkerPool : IDisposable
{
    private const int MostSpins = 2000;
    private const int MostYields = 64;

    private readonly Thread[] _threads;

    // A permit for each thread: one that is done early must not take the permit of one that has not begun.
    private readonly SemaphoreSlim[] _starts;
    // Whoever sleeps is counted before it looks whether it has to; whoever ends a wait looks at the count afterwards.
    private readonly object _sleep = new();
    private int _sleeping;
    private Action<int> _body = _ => { };
    private volatile Exception? _fault;
    private int _arrived;
    private int _running;
    private int _phase;
    private int _next;
    private volatile bool _stopping;

    /// <param name="threads">Most threads that run a body, the caller's among them.</param>
    public WorkerPool(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        Threads = Most = threads;
        _threads = new Thread[threads - 1];
        _starts = [.. _threads.Select(_ => new SemaphoreSlim(0))];
        for (var i = 0; i < _threads.Length; i++)
        {
            var index = i + 1;
            _threads[i] = new Thread(() => Loop(index)) { IsBackground = true, Name = $"inference-{index}" };
            _threads[i].Start();
        }
    }

    /// <summary>Threads there are.</summary>
    public int Most { get; }

    /// <summary>Threads that run the body that runs now.</summary>
    public int Threads { get; private set; }

    /// <summary>Threads that wait and sleep.</summary>
    internal int Sleeping => Volatile.Read(ref _sleeping);

    /// <summary>Runs <paramref name="body"/> on all threads.</summary>
    public void Run(Action<int> body) => Run(body, Most);

    /// <summary>Runs <paramref name="body"/> with the index of each of so many threads, and returns when all are done; the others sleep. One call at a time.</summary>
    public void Run(Action<int> body, int threads)
    {
        Threads = threads;
        (_body, _fault, _next, _arrived, _running) = (body, null, 0, 0, Threads);
        for (var i = 0; i < threads - 1; i++) _starts[i].Release();
        Invoke(0);
        for (var turn = 0; Volatile.Read(ref _running) > 0; turn++)
        {
            if (!Pause(turn)) Sleep(static (pool, _) => Volatile.Read(ref pool._running) > 0, 0);
        }

        if (_fault is { } fault) throw new InvalidOperationException($"A step of the engine failed: {fault.Message}", fault);
    }

    /// <summary>Waits for all threads, and starts the chunks of the next phase at 0.</summary>
    public void Barrier()
    {
        var phase = Volatile.Read(ref _phase);
        if (Interlocked.Increment(ref _arrived) == Threads)
        {
            _arrived = 0;
            _next = 0;
            Interlocked.Exchange(ref _phase, phase + 1);
            Wake();
            return;
        }

        for (var turn = 0; Volatile.Read(ref _phase) == phase; turn++)
        {
            // A thread that failed will not come: nobody may wait for it.
            if (_fault is not null) throw new OperationCanceledException("Another thread of the pool failed.");
            if (!Pause(turn)) Sleep(static (pool, phase) => Volatile.Read(ref pool._phase) == phase && pool._fault is null, phase);
        }
    }

    /// <summary>The next chunk of this phase.</summary>
    public int Next() => Interlocked.Increment(ref _next) - 1;

    public void Dispose()
    {
        _stopping = true;
        foreach (var start in _starts) start.Release();
        foreach (var thread in _threads) thread.Join();
        foreach (var start in _starts) start.Dispose();
    }

    private void Loop(int index)
    {
        while (true)
        {
            _starts[index - 1].Wait();
            if (_stopping) return;
            Invoke(index);
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = "A fault on any thread is thrown by Run, on the caller's.")]
    private void Invoke(int index)
    {
        try
        {
            _body(index);
        }
        catch (Exception exception)
        {
            lock (_sleep) _fault ??= exception;
        }

        if (Interlocked.Decrement(ref _running) == 0 || _fault is not null) Wake();
    }

    /// <summary>Lets a moment pass; false when it has taken long enough to sleep. Threads that share cores have nothing to spin for.</summary>
    private bool Pause(int turn)
    {
        var spins = Threads <= Environment.ProcessorCount ? MostSpins : 0;
        if (turn >= spins + MostYields) return false;
        if (turn < spins) Thread.SpinWait(8);
        else Thread.Yield();
        return true;
    }

    private void Sleep(Func<WorkerPool, int, bool> mustWait, int phase)
    {
        Interlocked.Increment(ref _sleeping);
        lock (_sleep)
        {
            while (mustWait(this, phase)) Monitor.Wait(_sleep);
        }

        Interlocked.Decrement(ref _sleeping);
    }

    private void Wake()
    {
        if (Volatile.Read(ref _sleeping) == 0) return;
        lock (_sleep) Monitor.PulseAll(_sleep);
    }
}
