using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>
/// Runs tokens of any number of sequences through the model at once. What comes out for a row depends on its own sequence alone, bit for bit: not on the other rows,
/// on how a prompt was cut into passes, nor on the number of threads. Not thread-safe.
/// </summary>
internal sealed unsafe class ForwardPass : IDisposable
{
    private readonly InferenceModel _model;
    private readonly ModelConfig _config;
    private readonly WorkerPool _pool;
    private readonly MatrixProduct _product;
    private readonly FeedForward _feed;
    private readonly Activations _hidden;
    private readonly Activations _attended;
    private readonly Attention _attention;
    private readonly List<(int First, int Count)> _blocks = [];
    private readonly NativeMemoryBlock _residual;
    private readonly NativeMemoryBlock _wide;
    private readonly NativeMemoryBlock _back;
    private readonly NativeMemoryBlock _logits;
    private readonly RotaryTable? _angles;
    private readonly RotaryTable? _windowAngles;
    private readonly int _stride;
    private readonly int[] _outputs;
    private readonly Action<int> _body;
    private BatchRow[] _rows = [];
    private int _count;
    private int _outputCount;
    private ILogitsReader? _reader;

    /// <param name="model">The model; not disposed by this.</param>
    /// <param name="kernels">The kernels to run on.</param>
    /// <param name="threads">Most threads of a pass.</param>
    /// <param name="context">Longest sequence in tokens.</param>
    /// <param name="maxRows">Most rows of a pass.</param>
    /// <param name="maxOutputs">Most rows of a pass that want logits.</param>
    public ForwardPass(InferenceModel model, KernelSet kernels, int threads, int context, int maxRows, int maxOutputs)
    {
        (_model, _config) = (model, model.Config);
        _outputs = new int[maxOutputs];
        _body = Thread;
        maxRows = Math.Max(maxRows, threads);
        _stride = model.Layers.Max(layer => layer.QueryKeyValue.OutputLength);

        _hidden = new Activations(_config.Embedding, maxRows);
        _attended = new Activations(_config.QuerySize, maxRows);
        _residual = Floats((long)maxRows * _config.Embedding);
        _wide = Floats((long)maxRows * _stride);
        _back = Floats((long)maxRows * PackedMatrix.Padded(_config.Embedding));
        _logits = Floats((long)maxOutputs * PackedMatrix.Padded(_config.Vocabulary));
        _attention = new Attention(_config.HeadSize, _config.Heads / _config.KeyValueHeads, threads, context);
        if (_config.Rotary is { } rotary) _angles = new RotaryTable(rotary, context);
        _windowAngles = _config.WindowRotary is { } window ? new RotaryTable(window, context) : _angles;

        // Last: memory that cannot be had leaves no threads behind.
        _pool = new WorkerPool(threads);
        _product = new MatrixProduct(_pool, kernels);
        try
        {
            _feed = new FeedForward(model, _pool, _product, _hidden, maxRows);
        }
        catch
        {
            _pool.Dispose();
            throw;
        }
    }

    /// <summary>Runs the rows on all threads.</summary>
    public void Run(ReadOnlySpan<BatchRow> rows) => Run(rows, _pool.Most);

    /// <summary>Runs the rows on so many threads; a sequence's rows come in order of position and its earlier positions have been run.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="threads">The threads.</param>
    /// <param name="reader">Given the logits, a row of them at a time, on any of the threads.</param>
    public void Run(ReadOnlySpan<BatchRow> rows, int threads, ILogitsReader? reader = null)
    {
        _reader = reader;
        if (_rows.Length < rows.Length) _rows = new BatchRow[rows.Length];
        rows.CopyTo(_rows);
        _count = rows.Length;
        _outputCount = 0;
        for (var i = 0; i < rows.Length; i++)
        {
            if (rows[i].WantsLogits) _outputs[_outputCount++] = i;
        }

        FindBlocks();
        _pool.Run(_body, threads);
    }

    /// <summary>Logits of the n-th row that wanted them, valid until the next pass.</summary>
    public Span<float> Logits(int index) => new(LogitsAt(index), _config.Vocabulary);

    public void Dispose()
    {
        _pool.Dispose();
        foreach (var part in (IDisposable?[])[_hidden, _attended, _attention, _feed, _residual, _wide, _back, _logits, _angles, _windowAngles]) part?.Dispose();
    }

    private int Step => _count == 1 ? 1 : _pool.Threads;

    private static NativeMemoryBlock Floats(long count) => new(count * sizeof(float));

    private void Thread(int thread)
    {
        // Each thread owns the rows n ≡ thread, or the only one; the products in between are shared out by chunks.
        for (var n = First(thread); n < _count; n += Step) Embed(n, thread);

        for (var layer = 0; layer < _model.Layers.Count; layer++)
        {
            var weights = _model.Layers[layer];
            Attend(layer, weights, thread);
            for (var n = First(thread); n < _count; n += Step)
            {
                AddBack(n, thread, weights.AttentionOutputBias, weights.AfterAttention);
                Normalize(Residual(Slot(n, thread)), weights.FeedForwardNorm, Slot(n, thread), _count, weights.Experts?.Router.IsQuantized ?? weights.Feed!.Up.IsQuantized);
            }

            _feed.Run(weights, thread, _count, _back.Floats);
            for (var n = First(thread); n < _count; n += Step) AddBack(n, thread, weights.Feed?.DownBias, weights.AfterFeedForward);
        }

        RowsBarrier(); // outputs are shared out by their own count, so another thread may own the row
        for (var i = First(thread); i < _outputCount; i += Step) Normalize(Residual(Slot(_outputs[i], thread)), _model.OutputNorm, Slot(i, thread), _outputCount, _model.Output.IsQuantized);
        RowsBarrier();
        _product.Run(_model.Output, _hidden, _outputCount, _logits.Floats, PackedMatrix.Padded(_config.Vocabulary), Slot(0, thread));
        if (_reader is null && _config is { LogitScale: 1, LogitSoftcap: 0 }) return;

        _pool.Barrier();
        for (var i = _pool.Next(); i < _outputCount; i = _pool.Next())
        {
            if (_config.LogitScale != 1) VectorMath.Scale(LogitsAt(i), _config.LogitScale, PackedMatrix.Padded(_config.Vocabulary));
            if (_config.LogitSoftcap > 0) VectorMath.SoftCap(LogitsAt(i), _config.LogitSoftcap, PackedMatrix.Padded(_config.Vocabulary));
            _reader?.Read(i, Logits(i), thread);
        }
    }

    private void Embed(int n, int thread)
    {
        var residual = Residual(Slot(n, thread));
        var row = _rows[n];
        _model.Embeddings.Unpack(row.Token, residual);
        if (_config.EmbeddingScale != 1) VectorMath.Scale(residual, _config.EmbeddingScale, _config.Embedding);
        if (_model.Positions is null) return;

        var position = _hidden.Vector(Slot(n, thread));
        _model.Positions.Unpack(row.Position, position);
        VectorMath.Add(residual, position, _config.Embedding);
    }

    private void Attend(int layer, LayerWeights weights, int thread)
    {
        for (var n = First(thread); n < _count; n += Step) Normalize(Residual(Slot(n, thread)), weights.AttentionNorm, Slot(n, thread), _count, weights.QueryKeyValue.IsQuantized);
        RowsBarrier();
        _product.Run(weights.QueryKeyValue, _hidden, _count, _wide.Floats, _stride, Slot(0, thread));
        _pool.Barrier();
        for (var n = thread; n < _count; n += _pool.Threads) RotateAndStore(layer, weights, n);
        _pool.Barrier();
        AttendBlocks(layer, thread);
        _pool.Barrier();
        for (var n = First(thread); n < _count; n += Step)
        {
            var slot = Slot(n, thread);
            if (slot != n) new Span<float>(_attended.Vector(n), _attended.Columns).CopyTo(new Span<float>(_attended.Vector(slot), _attended.Columns));
            if (weights.AttentionOutput.IsQuantized) _attended.Quantize(slot, _count);
        }

        RowsBarrier();
        _product.Run(weights.AttentionOutput, _attended, _count, _back.Floats, PackedMatrix.Padded(_config.Embedding), Slot(0, thread));
        _pool.Barrier();
    }

    /// <summary>Few rows are shared out head by head, so that each thread has its part; many in blocks that read keys and values once for all their queries.</summary>
    private void AttendBlocks(int layer, int thread)
    {
        var (keyHeads, shared, size) = (_config.KeyValueHeads, _config.Heads / _config.KeyValueHeads, _config.HeadSize);
        var parts = _blocks.Count * keyHeads >= 4 * _pool.Threads ? 1 : shared;
        for (var item = _pool.Next(); item < _blocks.Count * keyHeads * parts; item = _pool.Next())
        {
            var (first, count) = _blocks[item / (keyHeads * parts)];
            var keyHead = item / parts % keyHeads;
            var head = (keyHead * shared) + (item % parts);
            var row = _rows[first];
            var block = new AttentionBlock
            {
                Pages = row.Pages,
                Layout = row.Pages[0].Layout,
                Layer = layer,
                Head = keyHead,
                Position = row.Position,
                Rows = count,
                Heads = shared / parts,
                Window = _config.WindowOf(layer),
                Cap = _config.AttentionSoftcap,
                Queries = _wide.Floats + ((long)first * _stride) + (head * size),
                QueryStride = _stride,
                Outputs = _attended.Vector(first) + (head * size),
                OutputStride = _attended.Columns,
            };
            _attention.Run(block, thread);
        }
    }

    /// <summary>Rows that follow each other in one sequence, as many as attend together.</summary>
    private void FindBlocks()
    {
        _blocks.Clear();
        for (var n = 0; n < _count; n++)
        {
            if (n > 0 && _blocks[^1] is var (first, count) && count < _attention.Rows && _rows[n].Pages == _rows[first].Pages && _rows[n].Position == _rows[first].Position + count) _blocks[^1] = (first, count + 1);
            else _blocks.Add((n, 1));
        }
    }

    private void RotateAndStore(int layer, LayerWeights weights, int n)
    {
        var size = _config.HeadSize;
        var row = _rows[n];
        var queries = _wide.Floats + ((long)n * _stride);
        var keys = queries + weights.KeyStart;
        var values = queries + weights.ValueStart;
        if (weights.QueryKeyValueBias is { } bias) VectorMath.Add(queries, bias.Floats, weights.QueryKeyValue.OutputLength);
        if (weights.QueryNorm is { } queryNorm) NormalizeHeads(queryNorm, queries, _config.Heads);
        if (weights.KeyNorm is { } keyNorm) NormalizeHeads(keyNorm, keys, _config.KeyValueHeads);
        if (_config.AttentionScale > 0) VectorMath.Scale(queries, _config.AttentionScale * MathF.Sqrt(size), _config.QuerySize);
        if (_config.Rotates(layer))
        {
            var angles = (_config.WindowOf(layer) > 0 ? _windowAngles : _angles)!;
            Rotate(angles, row.Position, queries, _config.Heads);
            Rotate(angles, row.Position, keys, _config.KeyValueHeads);
        }

        var page = row.Pages[row.Position / KeyValuePage.Tokens];
        for (var head = 0; head < _config.KeyValueHeads; head++) page.Layout.Store(page.Keys(layer, head), row.Position % KeyValuePage.Tokens, keys + (head * size), values + (head * size));
    }

    private void NormalizeHeads(Norm norm, float* heads, int count)
    {
        var size = _config.HeadSize;
        if (_config.Kind.QueryKeyNorm == HeadNorm.Whole) (size, count) = (size * count, 1);
        for (var head = 0; head < count; head++) norm.Run(heads + (head * size), heads + (head * size), size);
    }

    private void Rotate(RotaryTable angles, int position, float* heads, int count)
    {
        var cosines = angles.Cosines(position);
        var sines = angles.Sines(position);
        for (var head = 0; head < count; head++, heads += _config.HeadSize)
        {
            if (_config.Pairs == RotaryPairs.Neighbours) VectorMath.RotateNeighbours(heads, cosines, sines, angles.Pairs);
            else VectorMath.RotateHalves(heads, cosines, sines, angles.Pairs);
        }
    }

    /// <summary>Adds what a part of a layer gave to the residual. Of a single row every thread takes a copy: it is changed on the way.</summary>
    private void AddBack(int n, int thread, NativeMemoryBlock? bias, Norm? norm)
    {
        var (back, residual) = ((nint)Back(n), (nint)Residual(Slot(n, thread)));
        if (_count == 1 && (bias is not null || norm is not null))
        {
            var copy = _hidden.Vector(thread);
            new Span<float>((float*)back, _config.Embedding).CopyTo(new Span<float>(copy, _config.Embedding));
            back = (nint)copy;
        }

        if (bias is not null) VectorMath.Add((float*)back, bias.Floats, _config.Embedding);
        norm?.Run((float*)back, (float*)back, _config.Embedding);
        if (_config.ResidualScale != 1) VectorMath.AddScaled((float*)residual, (float*)back, _config.ResidualScale, _config.Embedding);
        else VectorMath.Add((float*)residual, (float*)back, _config.Embedding);
    }

    private void Normalize(float* x, Norm? norm, int index, int count, bool quantize)
    {
        if (norm is null) new Span<float>(x, _config.Embedding).CopyTo(new Span<float>(_hidden.Vector(index), _config.Embedding));
        else norm.Run(x, _hidden.Vector(index), _config.Embedding);
        if (quantize) _hidden.Quantize(index, count);
    }

    private float* LogitsAt(int index) => _logits.Floats + ((long)index * PackedMatrix.Padded(_config.Vocabulary));

    /// <summary>A single row is everybody's: each thread prepares it for itself, in a place of its own, and waits for nobody. That takes less time than four barriers of a layer.</summary>
    private int Slot(int n, int thread) => _count == 1 ? thread : n;

    private int First(int thread) => _count == 1 ? 0 : thread;

    private void RowsBarrier()
    {
        if (_count > 1) _pool.Barrier();
    }

    private float* Residual(int n) => _residual.Floats + ((long)n * _config.Embedding);

    private float* Back(int n) => _back.Floats + ((long)n * PackedMatrix.Padded(_config.Embedding));
}
