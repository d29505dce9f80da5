using System.Buffers.Binary;
using Serverless.Inference.Gguf;
using Serverless.Inference.Kernels;
using Serverless.Tests.Inference.Gguf;
using Shouldly;

namespace Serverless.Tests.Inference.Kernels;

/// <summary>Every set of kernels against sums in doubles over what the file's numbers mean: all formats, and shapes that fill no group, tile or chunk.</summary>
public sealed unsafe class KernelTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-kernels");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(GgufTensorType.F32)]
    [InlineData(GgufTensorType.F16)]
    [InlineData(GgufTensorType.Q4_0)]
    [InlineData(GgufTensorType.Q4_1)]
    [InlineData(GgufTensorType.Q8_0)]
    public void Products_are_those_of_exact_arithmetic_and_the_same_bits_in_every_set(GgufTensorType type)
    {
        foreach (var (rows, columns, vectors) in new[] { (1, 32, 1), (15, 64, 2), (16, 96, 3), (17, 288, 4), (33, 32, 5), (50, 320, 9) })
        {
            using var file = File((type, rows, columns));
            Check(rows, columns, vectors, file.Tensor("t0"));
        }
    }

    [Theory]
    [InlineData(GgufTensorType.Q4_0, GgufTensorType.Q4_1, WeightFormat.FourBit)]
    [InlineData(GgufTensorType.Q4_0, GgufTensorType.Q8_0, WeightFormat.Float)]
    [InlineData(GgufTensorType.F16, GgufTensorType.F32, WeightFormat.Float)]
    public void Tensors_of_unlike_formats_below_each_other_mean_what_each_means(GgufTensorType first, GgufTensorType second, object format)
    {
        using var file = File((first, 19, 64), (second, 7, 64));

        Check(26, 64, 6, file.Tensor("t0"), file.Tensor("t1"));

        using var matrix = PackedMatrix.Pack(file.Tensor("t0"), file.Tensor("t1"));
        matrix.Format.ShouldBe((WeightFormat)format);
    }

    [Theory]
    [InlineData(GgufTensorType.F32)]
    [InlineData(GgufTensorType.F16)]
    [InlineData(GgufTensorType.Q4_0)]
    [InlineData(GgufTensorType.Q4_1)]
    [InlineData(GgufTensorType.Q8_0)]
    public void A_row_is_unpacked_to_the_very_numbers_it_was_packed_from(GgufTensorType type)
    {
        using var file = File((type, 21, 96));
        using var matrix = PackedMatrix.Pack(file.Tensor("t0"));
        var (expected, unpacked) = (new float[96], new float[96]);
        for (var row = 0; row < 21; row++)
        {
            Dequantizer.Read(file.Tensor("t0"), row, expected);
            fixed (float* output = unpacked) matrix.Unpack(row, output);
            unpacked.ShouldBe(expected);
        }

        Should.Throw<ArgumentOutOfRangeException>(() => Unpack(matrix, 21));
    }

    private static void Unpack(PackedMatrix matrix, int row)
    {
        var output = new float[matrix.Columns];
        fixed (float* to = output) matrix.Unpack(row, to);
    }

    private static void Check(int rows, int columns, int vectors, params GgufTensor[] tensors)
    {
        using var matrix = PackedMatrix.Pack(tensors);
        using var input = new Activations(columns, vectors);
        var random = new Random(rows + columns);
        for (var n = 0; n < vectors; n++)
        {
            for (var i = 0; i < columns; i++) input.Vector(n)[i] = (float)((random.NextDouble() - 0.5) * (n + 1));
            if (matrix.Format != WeightFormat.Float) input.Quantize(n, vectors);
        }

        var stride = matrix.Groups * PackedMatrix.GroupRows;
        float[]? reference = null;
        foreach (var set in KernelSet.Available)
        {
            foreach (var threads in new[] { 1, 3 })
            {
                var output = Run(matrix, input, vectors, stride, set, threads);
                reference ??= output;
                for (var n = 0; n < vectors; n++)
                {
                    output.AsSpan(n * stride, rows).SequenceEqual(reference.AsSpan(n * stride, rows)).ShouldBeTrue($"{set.Name} on {threads} threads, {rows} × {columns}, vector {n}");
                }
            }
        }

        Compare(reference!, stride, input, vectors, tensors);
    }

    private static float[] Run(PackedMatrix matrix, Activations input, int vectors, int stride, KernelSet set, int threads)
    {
        using var pool = new WorkerPool(threads);
        using var output = new NativeMemoryBlock((long)vectors * stride * sizeof(float));
        var product = new MatrixProduct(pool, set);
        pool.Run(_ => product.Run(matrix, input, vectors, output.Floats, stride));
        return new Span<float>(output.Floats, vectors * stride).ToArray();
    }

    private static void Compare(float[] output, int stride, Activations input, int vectors, GgufTensor[] tensors)
    {
        var row = 0;
        foreach (var tensor in tensors)
        {
            var weights = new float[tensor.Columns];
            for (var i = 0; i < tensor.Rows; i++, row++)
            {
                Dequantizer.Read(tensor, i, weights);
                for (var n = 0; n < vectors; n++)
                {
                    var (sum, size) = (0.0, 0.0);
                    for (var column = 0; column < tensor.Columns; column++)
                    {
                        sum += (double)weights[column] * input.Vector(n)[column];
                        size += Math.Abs(weights[column]) * (n + 1) / 2.0;
                    }

                    // Half a level of 32767 for each activation, and the rounding of the sums.
                    ((double)output[(n * stride) + row]).ShouldBe(sum, (size * 3e-5) + 1e-6, $"{tensor.Type} row {row}, vector {n}");
                }
            }
        }
    }

    private GgufFile File(params (GgufTensorType Type, int Rows, int Columns)[] tensors)
    {
        using var builder = new GgufBuilder();
        var data = new List<byte>();
        var random = new Random(tensors[0].Rows);
        foreach (var (index, (type, rows, columns)) in tensors.Index())
        {
            while (data.Count % 32 != 0) data.Add(0);
            builder.Tensor($"t{index}", (uint)type, (ulong)data.Count, (ulong)columns, (ulong)rows);
            for (var i = 0; i < rows; i++) Row(type, columns, random, data);
        }

        var path = Path.Combine(_folder.FullName, Path.GetRandomFileName());
        builder.Save(path, 0);
        using (var file = System.IO.File.OpenWrite(path))
        {
            file.Position = (file.Length + 31) / 32 * 32;
            file.Write([.. data]);
        }

        return GgufFile.Open(path);
    }

    private static void Row(GgufTensorType type, int columns, Random random, List<byte> data)
    {
        var (scales, bytes) = type switch { GgufTensorType.Q4_0 => (1, 16), GgufTensorType.Q4_1 => (2, 16), GgufTensorType.Q8_0 => (1, 32), _ => (0, 0) };
        if (scales == 0)
        {
            for (var i = 0; i < columns; i++)
            {
                var value = (float)(random.NextDouble() - 0.5);
                data.AddRange(type == GgufTensorType.F32 ? BitConverter.GetBytes(value) : BitConverter.GetBytes((Half)value));
            }

            return;
        }

        Span<byte> half = stackalloc byte[2];
        for (var block = 0; block < columns / GgufTensor.BlockSize; block++)
        {
            for (var i = 0; i < scales; i++)
            {
                BinaryPrimitives.WriteHalfLittleEndian(half, (Half)((random.NextDouble() - 0.3) / 10));
                data.AddRange(half.ToArray());
            }

            var numbers = new byte[bytes];
            random.NextBytes(numbers);
            data.AddRange(numbers);
        }
    }
}
