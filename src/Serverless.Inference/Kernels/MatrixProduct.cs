namespace Serverless.Inference.Kernels;

/// <summary>y = W·x for a set of vectors, shared out over the threads of a pool.</summary>
internal sealed unsafe class MatrixProduct(WorkerPool pool, KernelSet kernels)
{
    private const long ChunkBytes = 48 * 1024;

    /// <summary>
    /// Called by every thread of the pool, between two barriers. Vectors must be quantized (or be floats, as the matrix has it).
    /// </summary>
    /// <param name="matrix">W.</param>
    /// <param name="input">The vectors.</param>
    /// <param name="count">How many.</param>
    /// <param name="output">Vector n's outputs begin at n·<paramref name="stride"/>; room for whole groups of 16 rows.</param>
    /// <param name="stride">Floats from one output to the next.</param>
    /// <param name="first">The first of the vectors; of a single one each thread may have its own.</param>
    public void Run(PackedMatrix matrix, Activations input, int count, float* output, int stride, int first = 0)
    {
        // For one vector a chunk is a stretch of memory to stream; for many it is small, so that none waits long for another.
        var groupBytes = Math.Max(1, matrix.ByteLength / matrix.Groups);
        var chunk = (int)Math.Clamp(ChunkBytes / groupBytes, 1, Math.Max(1, matrix.Groups / (4 * pool.Threads)));
        for (var begin = pool.Next() * chunk; begin < matrix.Groups; begin = pool.Next() * chunk)
        {
            var end = Math.Min(begin + chunk, matrix.Groups);
            for (var group = begin; group < end; group++) Group(matrix, group, input, first, count, output + (group * PackedMatrix.GroupRows), stride);
        }
    }

    private void Group(PackedMatrix matrix, int group, Activations input, int first, int count, float* output, int stride)
    {
        var weights = matrix.Group(group);
        if (matrix.Format == WeightFormat.Float)
        {
            for (var i = 0; i < count; i++) kernels.FloatOne((float*)weights, matrix.Columns, input.Vector(first + i), output + ((long)i * stride));
            return;
        }

        var index = 0;
        for (; index + Activations.Tile <= count; index += Activations.Tile)
        {
            input.At(first + index, out var pairs, out var scales, out var sums);
            if (matrix.Format == WeightFormat.FourBit) kernels.FourBitTile(weights, matrix.Blocks, pairs, scales, sums, output + ((long)index * stride), stride);
            else kernels.EightBitTile(weights, matrix.Blocks, pairs, scales, output + ((long)index * stride), stride);
        }

        for (; index < count; index++)
        {
            input.At(first + index, out var pairs, out var scales, out var sums);
            if (matrix.Format == WeightFormat.FourBit) kernels.FourBitOne(weights, matrix.Blocks, pairs, scales, sums, output + ((long)index * stride));
            else kernels.EightBitOne(weights, matrix.Blocks, pairs, scales, output + ((long)index * stride));
        }
    }
}
