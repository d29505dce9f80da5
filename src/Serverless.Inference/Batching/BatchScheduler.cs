using System.Runtime.InteropServices;
using Serverless.Inference.Models;
using Serverless.Inference.Sampling;

namespace Serverless.Inference.Batching;

/// <summary>Decides what each pass computes, runs it, and hands out what comes of it. Used by the engine's thread alone; <see cref="Load"/> by any.</summary>
internal sealed class BatchScheduler : ILogitsReader, IDisposable
{
    private const int SmallestChunk = 16;
    private const double Smoothing = 0.2;

    private readonly ForwardPass _pass;
    private readonly CoreShare _cores;
    private readonly KeyValuePool _pages;
    private readonly InferenceEngineOptions _options;
    private readonly TimeProvider _time;
    private readonly LinkedList<Sequence> _waiting = new();
    private readonly List<Sequence> _running = [];
    private readonly List<BatchRow> _rows = [];
    private readonly List<Sequence> _deciding = [];
    private readonly SamplingScratch[] _scratch;
    private double _prefillRate;
    private double _decodeRate;
    private volatile EngineLoad _load;

    public BatchScheduler(InferenceModel model, InferenceEngineOptions options, int context, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _pages = new KeyValuePool(model.Config, options.KvTokens);
        _cores = (options.Cores ?? new CoreBudget(options.Threads)).Join(options.Threads);
        _pass = new ForwardPass(model, options.KernelSet, _cores.Most, context, options.PrefillChunk + options.MaxSequences, options.MaxSequences);
        _scratch = [.. Enumerable.Range(0, _cores.Most).Select(_ => new SamplingScratch(model.Config.Vocabulary))];
        _load = new EngineLoad(0, 0, 0, _pages.Capacity * KeyValuePage.Tokens, 0, 0, TimeSpan.Zero);
    }

    public EngineLoad Load => _load;

    /// <summary>How often a sequence has given its room to others.</summary>
    public int Preemptions { get; private set; }

    public void Add(Sequence sequence) => _waiting.AddLast(sequence);

    /// <summary>One pass; false when there is nothing to do.</summary>
    public bool Step()
    {
        DropCancelled();
        Admit();
        var decoding = PlanDecoding();
        var reading = PlanReading();
        if (_rows.Count == 0)
        {
            _cores.End();
            Publish(_load.LastStep);
            return false;
        }

        _cores.Begin();
        var started = _time.GetTimestamp();
        _pass.Run(CollectionsMarshal.AsSpan(_rows), _cores.Threads, this);
        var took = _time.GetElapsedTime(started);

        for (var i = 0; i < _deciding.Count; i++)
        {
            if (!_deciding[i].Advance()) Release(_deciding[i]);
        }

        Learn(decoding, reading, took);
        Publish(took);
        return true;
    }

    /// <summary>Ends everything with an error.</summary>
    public void Fail(Exception reason)
    {
        foreach (var sequence in _waiting.Concat(_running)) sequence.Steps.Writer.TryComplete(reason);
        _waiting.Clear();
        _running.Clear();
    }

    public void Dispose()
    {
        _cores.Dispose();
        _pass.Dispose();
        _pages.Dispose();
    }

    /// <summary>On the pass's threads: sequences are shared out, and what each draws is its own.</summary>
    void ILogitsReader.Read(int output, ReadOnlySpan<float> logits, int thread) => _deciding[output].Choose(logits, _scratch[thread]);

    /// <summary>As cancelled, never as ended: its reader may see the end of the steps before it sees the cancellation, and would take what there is for the whole answer.</summary>
    private static void Drop(Sequence sequence) => sequence.Steps.Writer.TryComplete(new OperationCanceledException(sequence.CancellationToken));

    private void DropCancelled()
    {
        for (var node = _waiting.First; node is not null;)
        {
            var next = node.Next;
            if (node.Value.CancellationToken.IsCancellationRequested)
            {
                Drop(node.Value);
                _waiting.Remove(node);
            }

            node = next;
        }

        for (var i = _running.Count - 1; i >= 0; i--)
        {
            if (!_running[i].CancellationToken.IsCancellationRequested) continue;
            Drop(_running[i]);
            Release(_running[i]);
        }
    }

    /// <summary>Takes in, in order, what has a slot and room for all it has to compute; a page is left for each that runs, or one of them would have to give way at once.</summary>
    private void Admit()
    {
        while (_running.Count < _options.MaxSequences && _waiting.First is { Value: var sequence })
        {
            if (KeyValuePool.Pages(sequence.Count) + _running.Count > _pages.Available || !_pages.TryGrow(sequence.Pages, sequence.Count)) return;
            _waiting.RemoveFirst();
            _running.Add(sequence);
        }
    }

    private int PlanDecoding()
    {
        _rows.Clear();
        _deciding.Clear();
        for (var i = 0; i < _running.Count; i++)
        {
            var sequence = _running[i];
            if (sequence.Missing == 1 && MakeRoom(sequence)) Plan(sequence, 1);
        }

        return _rows.Count;
    }

    /// <summary>A page more for a sequence that needs one; the youngest gives way. One that is alone always fits: the context is no longer than the cache.</summary>
    private bool MakeRoom(Sequence sequence)
    {
        while (!_pages.TryGrow(sequence.Pages, sequence.Count))
        {
            var youngest = _running[^1];
            Release(youngest);
            Preemptions++;
            youngest.Computed = 0;
            _waiting.AddFirst(youngest);
            if (youngest == sequence) return false;
        }

        return true;
    }

    private int PlanReading()
    {
        var before = _rows.Count;
        var budget = _prefillRate > 0
            ? (int)Math.Clamp(_prefillRate * (_options.StepTarget - DecodeTime(before)).TotalSeconds, SmallestChunk, _options.PrefillChunk)
            : Math.Min(64, _options.PrefillChunk);
        foreach (var sequence in _running)
        {
            if (budget == 0) break;
            if (sequence.Missing <= 1) continue;

            var count = Math.Min(budget, sequence.Missing);
            Plan(sequence, count);
            budget -= count;
        }

        return _rows.Count - before;
    }

    private TimeSpan DecodeTime(int rows) => _decodeRate > 0 ? TimeSpan.FromSeconds(Math.Min(0.1, rows / _decodeRate)) : TimeSpan.Zero;

    private void Plan(Sequence sequence, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var position = sequence.Computed + i;
            var decides = position == sequence.Count - 1;
            _rows.Add(new BatchRow(sequence[position], position, sequence.Pages, decides));
            if (decides) _deciding.Add(sequence);
        }

        sequence.Computed += count;
    }

    private void Release(Sequence sequence)
    {
        _running.Remove(sequence);
        _pages.Return(sequence.Pages);
    }

    private void Learn(int decoding, int reading, TimeSpan took)
    {
        if (took <= TimeSpan.Zero) return;
        if (reading >= SmallestChunk) _prefillRate = Smooth(_prefillRate, reading / Math.Max(1e-3, (took - DecodeTime(decoding)).TotalSeconds));
        else if (reading == 0 && decoding > 0) _decodeRate = Smooth(_decodeRate, decoding / took.TotalSeconds);
    }

    private static double Smooth(double old, double measured) => old <= 0 ? measured : old + (Smoothing * (measured - old));

    private void Publish(TimeSpan step) => _load = new EngineLoad(
        _running.Count, _waiting.Count, _pages.Used * KeyValuePage.Tokens, _pages.Capacity * KeyValuePage.Tokens, _prefillRate, _decodeRate, step);
}
