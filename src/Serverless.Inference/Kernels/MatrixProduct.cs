namespace Serverless.Inference.Kernels;

/// <summary>y = W·x for a set of vectors, shared out over the threads of a pool.</summary>
internal sealed unsafe class MatrixProduct(WorkerPool pool, KernelSet kernels)
{
    private const long ChunkBytes = 48 * 1024;

    /// <summary>
    /// Called by every thread of the pool, between two barriers. Vectors must be quantized where the matrix has it (<see cref="PackedMatrix.IsQuantized"/>).
    /// </summary>
    /// <param name="matrix">W.</param>
    /// <param name="input">The vectors.</param>
    /// <param name="count">How many.</param>
    /// <param name="output">Vector n's outputs begin at n·<paramref name="stride"/>; room for whole groups of 16 rows.</param>
    /// <param name="stride">Floats from one output to the next.</param>
    /// <param name="first">The first of the vectors.</param>
    public void Run(PackedMatrix matrix, Activations input, int count, float* output, int stride, int first = 0)
    {
        var chunks = Begin(matrix);
        Run(matrix, input, first, count, output, stride, ref chunks);
    }

    /// <summary>The same of a stack, whose parts lie behind each other in an output.</summary>
    public void Run(MatrixStack stack, Activations input, int count, float* output, int stride, int first = 0)
    {
        var chunks = Begin(stack.Parts[0]);
        Run(stack, input, first, count, output, stride, ref chunks);
    }

    /// <summary>Begins the products of a phase: chunks are sized by the first matrix, and handed out over all of them.</summary>
    public Chunks Begin(PackedMatrix matrix)
    {
        // For one vector a chunk is a stretch of memory to stream; for many it is small, so that none waits long for another.
        var groupBytes = Math.Max(1, matrix.ByteLength / matrix.Groups);
        return new Chunks(pool, (int)Math.Clamp(ChunkBytes / groupBytes, 1, Math.Max(1, matrix.Groups / (4 * pool.Threads))));
    }

    /// <summary>A stack's product with the vectors from <paramref name="first"/> on, which were quantized as so many.</summary>
    public void Run(MatrixStack stack, Activations input, int first, int count, float* output, int stride, ref Chunks chunks)
    {
        foreach (var part in stack.Parts)
        {
            Run(part, input, first, count, output, stride, ref chunks);
            output += part.Groups * PackedMatrix.GroupRows;
        }
    }

    private void Run(PackedMatrix matrix, Activations input, int first, int count, float* output, int stride, ref Chunks chunks)
    {
        while (chunks.TryTake(matrix.Groups, out var from, out var to))
        {
            for (var group = from; group < to; group++) Group(matrix, group, input, first, count, output + (group * PackedMatrix.GroupRows), stride);
        }
    }

    private void Group(PackedMatrix matrix, int group, Activations input, int first, int count, float* output, int stride)
    {
        var weights = matrix.Group(group);
        if (!matrix.IsQuantized)
        {
            for (var i = 0; i < count; i++) Floats(matrix, weights, input.Vector(first + i), output + ((long)i * stride));
            return;
        }

        var index = 0;
        for (; index + Activations.Tile <= count; index += Activations.Tile) Tile(matrix, weights, input, first + index, output + ((long)index * stride), stride);
        for (; index < count; index++) One(matrix, weights, input, first + index, output + ((long)index * stride));
    }

    private void Floats(PackedMatrix matrix, byte* weights, float* x, float* y)
    {
        switch (matrix.Format)
        {
            case WeightFormat.Half:
                kernels.HalfOne((ushort*)weights, matrix.Columns, x, y);
                break;
            case WeightFormat.UpperHalf:
                kernels.UpperHalfOne((ushort*)weights, matrix.Columns, x, y);
                break;
            default:
                kernels.FloatOne((float*)weights, matrix.Columns, x, y);
                break;
        }
    }

    private void Tile(PackedMatrix matrix, byte* weights, Activations input, int index, float* output, int stride)
    {
        input.At(index, out var pairs, out var scales, out var sums);
        switch (matrix.Format)
        {
            case WeightFormat.FourBit:
                kernels.FourBitTile(weights, matrix.Blocks, pairs, scales, sums, output, stride);
                break;
            case WeightFormat.ScaledFourBit:
                kernels.ScaledFourBitTile(weights, matrix.Blocks, pairs, scales, sums, output, stride);
                break;
            case WeightFormat.ScaledEightBit or WeightFormat.ScaledEightBitBlock:
                kernels.ScaledEightBitTile(weights, matrix.Blocks, matrix.BlocksOfHeader, pairs, scales, sums, output, stride);
                break;
            default:
                kernels.EightBitTile(weights, matrix.Blocks, pairs, scales, output, stride);
                break;
        }
    }

    private void One(PackedMatrix matrix, byte* weights, Activations input, int index, float* output)
    {
        input.At(index, out var pairs, out var scales, out var sums);
        switch (matrix.Format)
        {
            case WeightFormat.FourBit:
                kernels.FourBitOne(weights, matrix.Blocks, pairs, scales, sums, output);
                break;
            case WeightFormat.ScaledFourBit:
                kernels.ScaledFourBitOne(weights, matrix.Blocks, pairs, scales, sums, output);
                break;
            case WeightFormat.ScaledEightBit or WeightFormat.ScaledEightBitBlock:
                kernels.ScaledEightBitOne(weights, matrix.Blocks, matrix.BlocksOfHeader, pairs, scales, sums, output);
                break;
            default:
                kernels.EightBitOne(weights, matrix.Blocks, pairs, scales, output);
                break;
        }
    }

    /// <summary>The groups that a thread takes of one matrix after another: numbered through all of them, and handed out by the pool in chunks of equal length.</summary>
    internal struct Chunks(WorkerPool pool, int length)
    {
        private int _passed;
        private int _next;
        private int _end;

        /// <summary>The next groups of a matrix that has so many; false where the rest of them is others', and the turn of the next matrix comes.</summary>
        public bool TryTake(int groups, out int from, out int to)
        {
            if (_next == _end)
            {
                _next = pool.Next() * length;
                _end = _next + length;
            }

            (from, to) = (_next - _passed, Math.Min(_end - _passed, groups));
            if (from < groups)
            {
                _next = _passed + to;
                return true;
            }

            _passed += groups;
            return false;
        }
    }
}
