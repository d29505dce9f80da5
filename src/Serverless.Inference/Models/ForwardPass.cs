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
    private readonly Activations _attention;
    private readonly NativeMemoryBlock _residual;
    private readonly NativeMemoryBlock _wide;
    private readonly NativeMemoryBlock _back;
    private readonly NativeMemoryBlock _logits;
    private readonly NativeMemoryBlock _scores;
    private readonly RotaryTable? _angles;
    private readonly RotaryTable? _windowAngles;
    private readonly int _context;
    private readonly int _stride;
    private readonly int[] _outputs;
    private BatchRow[] _rows = [];
    private int _count;
    private int _outputCount;

    /// <param name="model">The model; not disposed by this.</param>
    /// <param name="kernels">The kernels to run on.</param>
    /// <param name="threads">Most threads of a pass.</param>
    /// <param name="context">Longest sequence in tokens.</param>
    /// <param name="maxRows">Most rows of a pass.</param>
    /// <param name="maxOutputs">Most rows of a pass that want logits.</param>
    public ForwardPass(InferenceModel model, KernelSet kernels, int threads, int context, int maxRows, int maxOutputs)
    {
        (_model, _config, _context) = (model, model.Config, context);
        _outputs = new int[maxOutputs];
        _stride = model.Layers.Max(layer => layer.QueryKeyValue.OutputLength);

        _hidden = new Activations(_config.Embedding, maxRows);
        _attention = new Activations(_config.QuerySize, maxRows);
        _residual = Floats((long)maxRows * _config.Embedding);
        _wide = Floats((long)maxRows * _stride);
        _back = Floats((long)maxRows * PackedMatrix.Padded(_config.Embedding));
        _logits = Floats((long)maxOutputs * PackedMatrix.Padded(_config.Vocabulary));
        _scores = Floats((long)threads * (context + KeyValuePage.Tokens));
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
    public void Run(ReadOnlySpan<BatchRow> rows, int threads)
    {
        if (_rows.Length < rows.Length) _rows = new BatchRow[rows.Length];
        rows.CopyTo(_rows);
        _count = rows.Length;
        _outputCount = 0;
        for (var i = 0; i < rows.Length; i++)
        {
            if (rows[i].WantsLogits) _outputs[_outputCount++] = i;
        }

        _pool.Run(Thread, threads);
    }

    /// <summary>Logits of the n-th row that wanted them, valid until the next pass.</summary>
    public Span<float> Logits(int index) => new(LogitsAt(index), _config.Vocabulary);

    public void Dispose()
    {
        _pool.Dispose();
        foreach (var part in (IDisposable?[])[_hidden, _attention, _feed, _residual, _wide, _back, _logits, _scores, _angles, _windowAngles]) part?.Dispose();
    }

    private static NativeMemoryBlock Floats(long count) => new(count * sizeof(float));

    private void Thread(int thread)
    {
        // Each thread owns the rows n ≡ thread; the products in between are shared out by chunks.
        for (var n = thread; n < _count; n += _pool.Threads) Embed(n);

        for (var layer = 0; layer < _model.Layers.Count; layer++)
        {
            var weights = _model.Layers[layer];
            Attend(layer, weights, thread);
            for (var n = thread; n < _count; n += _pool.Threads)
            {
                AddBack(n, weights.AttentionOutputBias, weights.AfterAttention);
                Normalize(Residual(n), weights.FeedForwardNorm, n, _count, weights.Experts?.Router.IsQuantized ?? weights.Feed!.Up.IsQuantized);
            }

            _feed.Run(weights, thread, _count, _back.Floats);
            for (var n = thread; n < _count; n += _pool.Threads) AddBack(n, weights.Feed?.DownBias, weights.AfterFeedForward);
        }

        _pool.Barrier(); // outputs are shared out by their own count, so another thread may own the row
        for (var i = thread; i < _outputCount; i += _pool.Threads) Normalize(Residual(_outputs[i]), _model.OutputNorm, i, _outputCount, _model.Output.IsQuantized);
        _pool.Barrier();
        _product.Run(_model.Output, _hidden, _outputCount, _logits.Floats, PackedMatrix.Padded(_config.Vocabulary));
        if (_config is { LogitScale: 1, LogitSoftcap: 0 }) return;

        _pool.Barrier();
        for (var i = thread; i < _outputCount; i += _pool.Threads)
        {
            if (_config.LogitScale != 1) VectorMath.Scale(LogitsAt(i), _config.LogitScale, PackedMatrix.Padded(_config.Vocabulary));
            if (_config.LogitSoftcap > 0) VectorMath.SoftCap(LogitsAt(i), _config.LogitSoftcap, PackedMatrix.Padded(_config.Vocabulary));
        }
    }

    private void Embed(int n)
    {
        var residual = Residual(n);
        var row = _rows[n];
        _model.Embeddings.Unpack(row.Token, residual);
        if (_config.EmbeddingScale != 1) VectorMath.Scale(residual, _config.EmbeddingScale, _config.Embedding);
        if (_model.Positions is null) return;

        _model.Positions.Unpack(row.Position, Back(n));
        VectorMath.Add(residual, Back(n), _config.Embedding);
    }

    private void Attend(int layer, LayerWeights weights, int thread)
    {
        for (var n = thread; n < _count; n += _pool.Threads) Normalize(Residual(n), weights.AttentionNorm, n, _count, weights.QueryKeyValue.IsQuantized);
        _pool.Barrier();
        _product.Run(weights.QueryKeyValue, _hidden, _count, _wide.Floats, _stride);
        _pool.Barrier();
        for (var n = thread; n < _count; n += _pool.Threads) RotateAndStore(layer, weights, n);
        _pool.Barrier();

        var scores = _scores.Floats + ((long)thread * (_context + KeyValuePage.Tokens));
        var heads = _config.Heads;
        var shared = heads / _config.KeyValueHeads;
        var window = _config.WindowOf(layer);
        for (var item = _pool.Next(); item < _count * heads; item = _pool.Next())
        {
            var (n, head) = (item / heads, item % heads);
            var row = _rows[n];
            var query = _wide.Floats + ((long)n * _stride) + (head * _config.HeadSize);
            var from = window == 0 ? 0 : Math.Max(0, row.Position + 1 - window);
            Attention.Run(query, row.Pages, layer, head / shared, from, row.Position + 1, _config.HeadSize, _config.AttentionSoftcap, scores, _attention.Vector(n) + (head * _config.HeadSize));
        }

        _pool.Barrier();
        for (var n = thread; n < _count; n += _pool.Threads)
        {
            if (weights.AttentionOutput.IsQuantized) _attention.Quantize(n, _count);
        }

        _pool.Barrier();
        _product.Run(weights.AttentionOutput, _attention, _count, _back.Floats, PackedMatrix.Padded(_config.Embedding));
        _pool.Barrier();
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
        var slot = row.Position % KeyValuePage.Tokens;
        for (var head = 0; head < _config.KeyValueHeads; head++)
        {
            var key = keys + (head * size);
            var target = page.Keys(layer, head) + slot;
            for (var i = 0; i < size; i++) target[i * KeyValuePage.Tokens] = key[i];
            new Span<float>(values + (head * size), size).CopyTo(new Span<float>(page.Values(layer, head) + (slot * size), size));
        }
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

    /// <summary>Adds what a part of a layer gave to the residual.</summary>
    private void AddBack(int n, NativeMemoryBlock? bias, Norm? norm)
    {
        var back = Back(n);
        if (bias is not null) VectorMath.Add(back, bias.Floats, _config.Embedding);
        norm?.Run(back, back, _config.Embedding);
        if (_config.ResidualScale != 1) VectorMath.AddScaled(Residual(n), back, _config.ResidualScale, _config.Embedding);
        else VectorMath.Add(Residual(n), back, _config.Embedding);
    }

    private void Normalize(float* x, Norm? norm, int index, int count, bool quantize)
    {
        if (norm is null) new Span<float>(x, _config.Embedding).CopyTo(new Span<float>(_hidden.Vector(index), _config.Embedding));
        else norm.Run(x, _hidden.Vector(index), _config.Embedding);
        if (quantize) _hidden.Quantize(index, count);
    }

    private float* LogitsAt(int index) => _logits.Floats + ((long)index * PackedMatrix.Padded(_config.Vocabulary));

    private float* Residual(int n) => _residual.Floats + ((long)n * _config.Embedding);

    private float* Back(int n) => _back.Floats + ((long)n * PackedMatrix.Padded(_config.Embedding));
}
