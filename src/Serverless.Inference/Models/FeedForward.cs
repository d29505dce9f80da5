using Serverless.Inference.Kernels;

namespace Serverless.Inference.Models;

/// <summary>
/// The feed-forward half of a layer, for all rows of a pass: one set of matrices, or of many experts those that a router chooses for each row. The rows of one expert lie
/// behind each other, so that its weights are read once. Called by every thread of the pool.
/// </summary>
internal sealed unsafe class FeedForward : IDisposable
{
    private readonly ModelConfig _config;
    private readonly WorkerPool _pool;
    private readonly MatrixProduct _product;
    private readonly Activations _hidden;
    private readonly Activations _feed;
    private readonly NativeMemoryBlock _wide;
    private readonly int _stride;
    private readonly ExpertRouting? _routing;
    private readonly Activations? _chosen;
    private readonly NativeMemoryBlock? _results;

    /// <param name="model">The model.</param>
    /// <param name="pool">The threads.</param>
    /// <param name="product">Its products.</param>
    /// <param name="hidden">The normalised rows, quantized as the first matrix of the layer has it.</param>
    /// <param name="maxRows">Most rows of a pass.</param>
    public FeedForward(InferenceModel model, WorkerPool pool, MatrixProduct product, Activations hidden, int maxRows)
    {
        (_config, _pool, _product, _hidden) = (model.Config, pool, product, hidden);
        var vectors = maxRows * Math.Max(1, _config.ExpertsUsed); // at least one for each thread
        _stride = model.Layers.Max(layer => layer.Feed?.Up.OutputLength ?? layer.Experts!.Experts.Max(expert => expert.Up.OutputLength));
        _feed = new Activations(_config.FeedForward, vectors);
        _wide = new NativeMemoryBlock((long)vectors * _stride * sizeof(float));
        if (_config.Experts == 0) return;

        _routing = new ExpertRouting(_config, maxRows);
        _chosen = new Activations(_config.Embedding, vectors);
        _results = new NativeMemoryBlock((long)vectors * PackedMatrix.Padded(_config.Embedding) * sizeof(float));
    }

    /// <summary>Writes each row's result, without the bias of the last matrix; a row's own thread reads it then, and every thread that of a single row.</summary>
    public void Run(LayerWeights weights, int thread, int count, float* output)
    {
        // A single row is everybody's, prepared by each thread in a place of its own; experts share one.
        if (count > 1 || weights.Experts is not null) _pool.Barrier();
        if (weights.Experts is { } experts) RunExperts(experts, thread, count, output);
        else RunWhole(weights.Feed!, thread, count, output);
    }

    public void Dispose()
    {
        foreach (var part in (IDisposable?[])[_feed, _wide, _chosen, _results, _routing]) part?.Dispose();
    }

    private void RunWhole(FeedWeights weights, int thread, int count, float* output)
    {
        var alone = count == 1 && weights.UpBias is null; // a bias is added where all threads read
        var own = alone ? thread : 0;
        _product.Run(weights.Up, _hidden, count, _wide.Floats, _stride, count == 1 ? thread : 0);
        _pool.Barrier();
        for (var n = alone ? 0 : thread; n < count; n += alone ? 1 : _pool.Threads)
        {
            var slot = alone ? own : n;
            Activate(weights, n, slot);
            if (weights.Down.IsQuantized) _feed.Quantize(slot, count);
        }

        if (!alone) _pool.Barrier();
        _product.Run(weights.Down, _feed, count, output, PackedMatrix.Padded(_config.Embedding), own);
        _pool.Barrier();
    }

    private void RunExperts(ExpertWeights weights, int thread, int count, float* output)
    {
        var routing = _routing!;
        var width = PackedMatrix.Padded(_config.Embedding);
        _product.Run(weights.Router, _hidden, count, routing.Logits, routing.Stride);
        _pool.Barrier();
        for (var n = thread; n < count; n += _pool.Threads) routing.Choose(n);
        _pool.Barrier();
        if (thread == 0) routing.Group(count);
        _pool.Barrier();
        for (var place = thread; place < routing.Places; place += _pool.Threads)
        {
            var (row, expert) = routing.At(place);
            new Span<float>(_hidden.Vector(row), _config.Embedding).CopyTo(new Span<float>(_chosen!.Vector(place), _config.Embedding));
            Quantize(_chosen, weights.Experts[expert].Up, place, expert);
        }

        _pool.Barrier();
        var chunks = _product.Begin(weights.Experts[0].Up.Parts[0]);
        for (var expert = 0; expert < weights.Experts.Length; expert++)
        {
            var (first, rows) = routing.Rows(expert);
            if (rows > 0) _product.Run(weights.Experts[expert].Up, _chosen!, first, rows, _wide.Floats + ((long)first * _stride), _stride, ref chunks);
        }

        _pool.Barrier();
        for (var place = thread; place < routing.Places; place += _pool.Threads)
        {
            var (_, expert) = routing.At(place);
            Activate(weights.Experts[expert], place, place);
            Quantize(_feed, weights.Experts[expert].Down, place, expert);
        }

        _pool.Barrier();
        chunks = _product.Begin(weights.Experts[0].Down.Parts[0]);
        for (var expert = 0; expert < weights.Experts.Length; expert++)
        {
            var (first, rows) = routing.Rows(expert);
            if (rows > 0) _product.Run(weights.Experts[expert].Down, _feed, first, rows, _results!.Floats + ((long)first * width), width, ref chunks);
        }

        _pool.Barrier();
        for (var n = thread; n < count; n += _pool.Threads) routing.Sum(n, _results!.Floats, width, output + ((long)n * width));
        if (count == 1) _pool.Barrier(); // the only row's result is read by every thread
    }

    private void Quantize(Activations vectors, MatrixStack consumer, int place, int expert)
    {
        var (first, rows) = _routing!.Rows(expert);
        if (consumer.IsQuantized) vectors.Quantize(place - first, rows, first);
    }

    private void Activate(FeedWeights weights, int index, int slot)
    {
        var wide = _wide.Floats + ((long)index * _stride);
        var output = _feed.Vector(slot);
        if (weights.UpBias is { } bias) VectorMath.Add(wide, bias.Floats, weights.Up.OutputLength);
        if (!_config.Kind.IsGated) VectorMath.Gelu(wide, output, _config.FeedForward);
        else if (_config.Kind.Activation == Activation.Gelu) VectorMath.GeGlu(wide, wide + weights.UpStart, output, _config.FeedForward);
        else VectorMath.SwiGlu(wide, wide + weights.UpStart, output, _config.FeedForward);
    }
}
