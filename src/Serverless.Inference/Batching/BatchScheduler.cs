using System.Runtime.InteropServices;
using Serverless.Inference.Models;
using Serverless.Inference.Sampling;

namespace Serverless.Inference.Batching;

/// <summary>Decides what each pass computes, runs it, and hands out what comes of it. Used by the engine's thread alone; <see cref="Load"/> by any.</summary>
internal sealed class BatchScheduler : ILogitsReader, IDisposable
{
    /// <summary>Rows of prompts in a pass whose probabilities are asked for; each takes a row of logits.</summary>
    private const int MostScored = 32;

    /// <summary>How long a first token may take beside twice its own prompt: who is due first is read first, so that short prompts do not wait behind long ones, nor those for ever.</summary>
    private static readonly TimeSpan FirstToken = TimeSpan.FromSeconds(2);

    private readonly ForwardPass _pass;
    private readonly CoreShare _cores;
    private readonly KeyValuePool _pages;
    private readonly Admission _admission;
    private readonly InferenceEngineOptions _options;
    private readonly TimeProvider _time;
    private readonly StepRates _rates = new();
    private readonly List<BatchRow> _rows = [];
    private readonly List<Sequence> _reading = [];
    private readonly List<(Sequence Sequence, int Position)> _outputs = [];
    private readonly SamplingScratch[] _scratch;
    private volatile EngineLoad _load;

    public BatchScheduler(InferenceModel model, InferenceEngineOptions options, int context, TimeProvider time)
    {
        (_options, _time) = (options, time);
        _pages = new KeyValuePool(model.Config, options.KvTokens, options.KvFormat);
        _admission = new Admission(_pages, options.MaxSequences);
        _cores = (options.Cores ?? new CoreBudget(options.Threads)).Join(options.Threads);
        _pass = new ForwardPass(model, options.KernelSet, _cores.Most, context, options.PrefillChunk + options.MaxSequences, options.MaxSequences + MostScored);
        _scratch = [.. Enumerable.Range(0, _cores.Most).Select(_ => new SamplingScratch(model.Config.Vocabulary))];
        _load = new EngineLoad(0, 0, 0, 0, 0);
    }

    public EngineLoad Load => _load;

    /// <summary>How often a sequence has given its room to others.</summary>
    public int Preemptions => _admission.Preemptions;

    /// <summary>Tokens that were run.</summary>
    public long Rows { get; private set; }

    public void Add(Sequence sequence)
    {
        var due = _time.GetUtcNow() + FirstToken + (2 * _rates.PrefillTime(sequence.Count));
        sequence.Due = due < sequence.Deadline ? due : sequence.Deadline;
        _admission.Add(sequence);
    }

    /// <summary>One pass; false when there is nothing to do.</summary>
    public bool Step()
    {
        _admission.DropCancelled();
        _admission.Admit();
        var isShort = _admission.Running.Exists(static sequence => sequence.AwaitsFirst);
        var decoding = PlanDecoding(isShort);
        var reading = PlanReading(isShort);
        if (_rows.Count == 0)
        {
            _cores.End();
            Publish();
            return false;
        }

        _cores.Begin();
        var started = _time.GetTimestamp();
        _pass.Run(CollectionsMarshal.AsSpan(_rows), _cores.Threads, this);
        var took = _time.GetElapsedTime(started);

        Rows += _rows.Count;
        foreach (var sequence in _admission.Running)
        {
            sequence.EndPass();
            Seal(sequence);
        }

        foreach (var (sequence, position) in _outputs)
        {
            if (!sequence.Scores(position) && !sequence.Advance()) _admission.Release(sequence);
        }

        _rates.Learn(decoding, reading, took);
        Publish();
        return true;
    }

    /// <summary>Ends everything with an error.</summary>
    public void Fail(Exception reason) => _admission.Fail(reason);

    public void Dispose()
    {
        _cores.Dispose();
        _pass.Dispose();
        _pages.Dispose();
    }

    /// <summary>On the pass's threads: sequences are shared out, and what each draws is its own.</summary>
    void ILogitsReader.Read(int output, ReadOnlySpan<float> logits, int thread) => _outputs[output].Sequence.Read(_outputs[output].Position, logits, _scratch[thread]);

    /// <summary>Pages that have become full may be shared from now on.</summary>
    private void Seal(Sequence sequence)
    {
        while ((sequence.Sealed + 1L) * KeyValuePage.Tokens <= sequence.Computed)
        {
            var index = sequence.Sealed;
            sequence.Sealed = _pages.TrySeal(sequence.Pages, index, sequence.Text.Slice(index * KeyValuePage.Tokens, KeyValuePage.Tokens), sequence.Root) ? index + 1 : int.MaxValue;
        }
    }

    /// <param name="isShort">Without those that nobody waits for: a first token comes the sooner, and theirs a pass later.</param>
    private int PlanDecoding(bool isShort)
    {
        _rows.Clear();
        _outputs.Clear();
        for (var i = 0; i < _admission.Running.Count; i++)
        {
            var sequence = _admission.Running[i];
            if (sequence.Missing == 1 && !(isShort && sequence.Unattended) && _admission.MakeRoom(sequence)) Plan(sequence, 1);
        }

        return _rows.Count;
    }

    private int PlanReading(bool isShort)
    {
        _reading.Clear();
        foreach (var sequence in _admission.Running)
        {
            if (sequence.Missing > 1 && !(isShort && sequence.Unattended)) _reading.Add(sequence);
        }

        _reading.Sort(Sequence.ByDue);
        var before = _rows.Count;
        var budget = _rates.Prefill > 0
            ? (int)Math.Clamp(_rates.Prefill * (_options.StepTarget - _rates.DecodeTime(before)).TotalSeconds, StepRates.SmallestChunk, _options.PrefillChunk)
            : Math.Min(64, _options.PrefillChunk);
        var scored = MostScored;
        foreach (var sequence in _reading)
        {
            if (budget == 0) break;

            var count = Math.Min(budget, sequence.Missing);
            if (sequence.Scores(sequence.Computed)) scored -= count = Math.Min(count, scored);
            Plan(sequence, count);
            budget -= count;
        }

        return _rows.Count - before;
    }

    private void Plan(Sequence sequence, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var position = sequence.Computed + i;
            var wanted = position == sequence.Count - 1 || sequence.Scores(position);
            _rows.Add(new BatchRow(sequence[position], position, sequence.Pages, wanted));
            if (wanted) _outputs.Add((sequence, position));
        }

        sequence.Computed += count;
    }

    private void Publish() => _load = new EngineLoad(_admission.Running.Count, _admission.Waiting, _pages.Used * KeyValuePage.Tokens, _rates.Prefill, _rates.Decode);
}
