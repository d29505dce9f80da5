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
    private readonly Activations _hidden;
    private readonly Activations _attended;
    private readonly Activations _feed;
    private readonly NativeMemoryBlock _residual;
    private readonly NativeMemoryBlock _wide;
    private readonly NativeMemoryBlock _back;
    private readonly NativeMemoryBlock _logits;
    private readonly Attention _attention;
    private readonly List<(int First, int Count)> _blocks = [];
    private readonly RotaryTable _angles;
    private readonly int _queryKeyValue;
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
        _queryKeyValue = Padded((_config.Heads * _config.HeadSize) + (2 * _config.KeyValueSize));

        maxRows = Math.Max(maxRows, threads);
        _hidden = new Activations(_config.Embedding, maxRows);
        _attended = new Activations(_config.Heads * _config.HeadSize, maxRows);
        _feed = new Activations(_config.FeedForward, maxRows);
        _residual = Floats((long)maxRows * _config.Embedding);
        _wide = Floats((long)maxRows * Math.Max(_queryKeyValue, Padded(2 * _config.FeedForward)));
        _back = Floats((long)maxRows * Padded(_config.Embedding));
        _logits = Floats((long)maxOutputs * Padded(_config.Vocabulary));
        _attention = new Attention(_config.HeadSize, _config.Heads / _config.KeyValueHeads, threads, context);
        _angles = new RotaryTable(_config, context);

        // Last: memory that cannot be had leaves no threads behind.
        _pool = new WorkerPool(threads);
        _product = new MatrixProduct(_pool, kernels);
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
    public Span<float> Logits(int index) => new(_logits.Floats + ((long)index * Padded(_config.Vocabulary)), _config.Vocabulary);

    public void Dispose()
    {
        _pool.Dispose();
        foreach (var part in (IDisposable[])[_hidden, _attended, _feed, _residual, _wide, _back, _logits, _attention, _angles]) part.Dispose();
    }

    private int Step => _count == 1 ? 1 : _pool.Threads;

    private static NativeMemoryBlock Floats(long count) => new(count * sizeof(float));

    private static int Padded(int rows) => (rows + PackedMatrix.GroupRows - 1) / PackedMatrix.GroupRows * PackedMatrix.GroupRows;

    private void Thread(int thread)
    {
        // Each thread owns the rows n ≡ thread, or the only one; the products in between are shared out by chunks.
        for (var n = First(thread); n < _count; n += Step) _model.Embeddings.Unpack(_rows[n].Token, Residual(Slot(n, thread)));

        for (var layer = 0; layer < _model.Layers.Count; layer++)
        {
            Attend(layer, _model.Layers[layer], thread);
            Feed(_model.Layers[layer], thread);
        }

        RowsBarrier(); // outputs are shared out by their own count, so another thread may own the row
        for (var i = First(thread); i < _outputCount; i += Step) Normalize(Residual(Slot(_outputs[i], thread)), _model.OutputNorm, Slot(i, thread), _outputCount, _model.Output);
        RowsBarrier();
        _product.Run(_model.Output, _hidden, _outputCount, _logits.Floats, Padded(_config.Vocabulary), Slot(0, thread));
        if (_reader is null) return;

        _pool.Barrier();
        for (var i = _pool.Next(); i < _outputCount; i = _pool.Next()) _reader.Read(i, Logits(i), thread);
    }

    private void Attend(int layer, LayerWeights weights, int thread)
    {
        for (var n = First(thread); n < _count; n += Step) Normalize(Residual(Slot(n, thread)), weights.AttentionNorm, Slot(n, thread), _count, weights.QueryKeyValue);
        RowsBarrier();
        _product.Run(weights.QueryKeyValue, _hidden, _count, _wide.Floats, _queryKeyValue, Slot(0, thread));
        _pool.Barrier();
        for (var n = thread; n < _count; n += _pool.Threads) RotateAndStore(layer, n);
        _pool.Barrier();
        AttendBlocks(layer, thread);
        _pool.Barrier();
        for (var n = First(thread); n < _count; n += Step)
        {
            var slot = Slot(n, thread);
            if (slot != n) new Span<float>(_attended.Vector(n), _attended.Columns).CopyTo(new Span<float>(_attended.Vector(slot), _attended.Columns));
            Quantize(_attended, slot, _count, weights.AttentionOutput);
        }

        RowsBarrier();
        _product.Run(weights.AttentionOutput, _attended, _count, _back.Floats, Padded(_config.Embedding), Slot(0, thread));
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
                Queries = _wide.Floats + ((long)first * _queryKeyValue) + (head * size),
                QueryStride = _queryKeyValue,
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

    private void Feed(LayerWeights weights, int thread)
    {
        for (var n = First(thread); n < _count; n += Step)
        {
            var slot = Slot(n, thread);
            VectorMath.Add(Residual(slot), Back(n), _config.Embedding);
            Normalize(Residual(slot), weights.FeedForwardNorm, slot, _count, weights.GateUp);
        }

        var wide = Padded(2 * _config.FeedForward);
        RowsBarrier();
        _product.Run(weights.GateUp, _hidden, _count, _wide.Floats, wide, Slot(0, thread));
        _pool.Barrier();
        for (var n = First(thread); n < _count; n += Step)
        {
            var gate = _wide.Floats + ((long)n * wide);
            VectorMath.SwiGlu(gate, gate + _config.FeedForward, _feed.Vector(Slot(n, thread)), _config.FeedForward);
            Quantize(_feed, Slot(n, thread), _count, weights.Down);
        }

        RowsBarrier();
        _product.Run(weights.Down, _feed, _count, _back.Floats, Padded(_config.Embedding), Slot(0, thread));
        _pool.Barrier();
        for (var n = First(thread); n < _count; n += Step) VectorMath.Add(Residual(Slot(n, thread)), Back(n), _config.Embedding);
    }

    private void RotateAndStore(int layer, int n)
    {
        var size = _config.HeadSize;
        var row = _rows[n];
        var cosines = _angles.Cosines(row.Position);
        var sines = _angles.Sines(row.Position);
        var vector = _wide.Floats + ((long)n * _queryKeyValue);
        var keys = vector + (_config.Heads * size);
        var values = keys + _config.KeyValueSize;
        for (var head = 0; head < _config.Heads; head++) VectorMath.Rotate(vector + (head * size), cosines, sines, size / 2);

        var page = row.Pages[row.Position / KeyValuePage.Tokens];
        for (var head = 0; head < _config.KeyValueHeads; head++)
        {
            var key = keys + (head * size);
            VectorMath.Rotate(key, cosines, sines, size / 2);
            page.Layout.Store(page.Keys(layer, head), row.Position % KeyValuePage.Tokens, key, values + (head * size));
        }
    }

    private void Normalize(float* x, NativeMemoryBlock weight, int index, int count, PackedMatrix consumer)
    {
        VectorMath.Normalize(x, weight.Floats, _config.Epsilon, _hidden.Vector(index), _config.Embedding);
        Quantize(_hidden, index, count, consumer);
    }

    private static void Quantize(Activations vectors, int index, int count, PackedMatrix consumer)
    {
        if (consumer.Format != WeightFormat.Float) vectors.Quantize(index, count);
    }

    /// <summary>A single row is everybody's: each thread prepares it for itself, in a place of its own, and waits for nobody. That takes less time than four barriers of a layer.</summary>
    private int Slot(int n, int thread) => _count == 1 ? thread : n;

    private int First(int thread) => _count == 1 ? 0 : thread;

    private void RowsBarrier()
    {
        if (_count > 1) _pool.Barrier();
    }

    private float* Residual(int n) => _residual.Floats + ((long)n * _config.Embedding);

    private float* Back(int n) => _back.Floats + ((long)n * Padded(_config.Embedding));
}
