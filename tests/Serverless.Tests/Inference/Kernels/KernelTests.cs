using System.Buffers.Binary;
using Serverless.Inference.Gguf;
using Serverless.Inference.Kernels;
using Serverless.Inference.Weights;
using Serverless.Tests.Inference.Gguf;
using Shouldly;

namespace Serverless.Tests.Inference.Kernels;

/// <summary>Every set of kernels against sums in doubles over what the file's numbers mean: all formats, and shapes that fill no group, tile or chunk.</summary>
public sealed unsafe class KernelTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-kernels");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [MemberData(nameof(Types))]
    public void Products_are_those_of_exact_arithmetic_and_the_same_bits_in_every_set(object of)
    {
        var type = (WeightType)of;
        var block = type.BlockColumns() == 256 ? 8 : 1;
        foreach (var (rows, columns, vectors) in new[] { (1, 32 * block, 1), (15, 64 * block, 2), (16, 96 * block, 3), (17, 288 * block, 4), (33, 32 * block, 5), (50, 320, 9) })
        {
            if (columns % type.BlockColumns() != 0) continue;
            using var file = File((type, rows, columns));
            Check(columns, vectors, file.Tensor("t0"));
        }
    }

    [Theory]
    [InlineData(1, WeightType.Q4_0, WeightType.Q4_1)]
    [InlineData(2, WeightType.Q4_0, WeightType.Q8_0)]
    [InlineData(2, WeightType.F16, WeightType.F32)]
    [InlineData(2, WeightType.Q4_K, WeightType.Q4_K, WeightType.Q6_K)]
    [InlineData(3, WeightType.Q5_1, WeightType.Q5_K, WeightType.BF16)]
    [InlineData(1, WeightType.Q5_K, WeightType.Q6_K)]
    public void Tensors_of_unlike_formats_below_each_other_keep_their_formats(int parts, params object[] types)
    {
        using var file = File([.. types.Select((type, i) => ((WeightType)type, 19 - (6 * i), 256))]);
        GgufTensor[] tensors = [.. types.Select((_, i) => file.Tensor($"t{i}"))];

        Check(256, 6, tensors);

        using var stack = MatrixStack.Pack(tensors);
        stack.Parts.Length.ShouldBe(parts);
        stack.Parts.ToArray().ShouldAllBe(part => part.Format != WeightFormat.Float || types.Contains(WeightType.F32));
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void A_row_is_unpacked_to_the_very_numbers_it_was_packed_from(object of)
    {
        var type = (WeightType)of;
        var columns = type.BlockColumns() == 256 ? 512 : 96;
        using var file = File((type, 21, columns));
        using var matrix = PackedMatrix.Pack(file.Tensor("t0"));
        var (expected, unpacked) = (new float[columns], new float[columns]);
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

    public static TheoryData<object> Types() => [.. Enum.GetValues<WeightType>().Cast<object>()];

    private static void Check(int columns, int vectors, params GgufTensor[] tensors)
    {
        var rows = tensors.Sum(tensor => tensor.Rows);
        using var matrix = MatrixStack.Pack(tensors);
        using var input = new Activations(columns, vectors);
        var random = new Random(rows + columns);
        for (var n = 0; n < vectors; n++)
        {
            for (var i = 0; i < columns; i++) input.Vector(n)[i] = (float)((random.NextDouble() - 0.5) * (n + 1));
            if (matrix.IsQuantized) input.Quantize(n, vectors);
        }

        var stride = matrix.OutputLength;
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

        Compare(reference!, matrix, input, vectors, tensors);
    }

    private static float[] Run(MatrixStack matrix, Activations input, int vectors, int stride, KernelSet set, int threads)
    {
        using var pool = new WorkerPool(threads);
        using var output = new NativeMemoryBlock((long)vectors * stride * sizeof(float));
        var product = new MatrixProduct(pool, set);
        pool.Run(_ => product.Run(matrix, input, vectors, output.Floats, stride));
        return new Span<float>(output.Floats, vectors * stride).ToArray();
    }

    private static void Compare(float[] output, MatrixStack stack, Activations input, int vectors, GgufTensor[] tensors)
    {
        foreach (var (index, tensor) in tensors.Index())
        {
            var row = stack.Start(index);
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
                    ((double)output[(n * stack.OutputLength) + row]).ShouldBe(sum, (size * 3e-5) + 1e-6, $"{tensor.Type} row {row}, vector {n}");
                }
            }
        }
    }

    private GgufFile File(params (WeightType Type, int Rows, int Columns)[] tensors)
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

    /// <summary>Any bytes are numbers of the quantized types, but for their scales.</summary>
    private static void Row(WeightType type, int columns, Random random, List<byte> data)
    {
        int[] scales = type switch
        {
            WeightType.Q4_0 or WeightType.Q5_0 or WeightType.Q8_0 => [0],
            WeightType.Q4_1 or WeightType.Q5_1 or WeightType.Q4_K or WeightType.Q5_K => [0, 2],
            WeightType.Q6_K => [208],
            _ => [],
        };
        var size = type is WeightType.Q4_K or WeightType.Q5_K or WeightType.Q6_K ? 1000 : 10;
        for (var i = 0; i < columns; i += type.BlockColumns())
        {
            var block = new byte[type.BlockBytes()];
            random.NextBytes(block);
            var value = (float)(random.NextDouble() - 0.5);
            if (type == WeightType.F32) BitConverter.TryWriteBytes(block, value);
            if (type == WeightType.F16) BitConverter.TryWriteBytes(block, (Half)value);
            if (type == WeightType.BF16) BitConverter.TryWriteBytes(block, (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
            foreach (var at in scales) BinaryPrimitives.WriteHalfLittleEndian(block.AsSpan(at), (Half)((random.NextDouble() - 0.3) / size));
            data.AddRange(block);
        }
    }
}
