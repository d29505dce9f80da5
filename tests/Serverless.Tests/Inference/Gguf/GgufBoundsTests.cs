using Serverless.Inference.Gguf;
using Serverless.Inference.Kernels;
using Serverless.Inference.Models;
using Serverless.Inference.Tokenizers;
using Shouldly;

namespace Serverless.Tests.Inference.Gguf;

/// <summary>Sizes and offsets that are each allowed and together are not: no product or sum of them may wrap, and no field may ask for more memory than it is worth.</summary>
public sealed class GgufBoundsTests(ITestOutputHelper output) : IDisposable
{
    private const long Megabyte = 1 << 20;

    private static readonly ulong[] Sizes =
        [0, 1, 2, 3, 31, 32, 33, 64, 1000, 15473, 65536, 65537, 116512, 1UL << 20, 1UL << 24, 1136925560, int.MaxValue, 1UL << 31, 1UL << 32, (1UL << 32) + 32, 1UL << 40, 1UL << 60, 1UL << 63, ulong.MaxValue];

    private static readonly ulong[] Offsets =
        [0, 16, 32, 64, 4096, 3932160, 50 * (ulong)Megabyte, int.MaxValue, 1UL << 32, 1UL << 62, 1UL << 63, ulong.MaxValue - 31, ulong.MaxValue - 4095, ulong.MaxValue];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-gguf");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Dimensions_whose_product_wraps_round_are_refused()
    {
        // 116512 × 15473 × 8 × 1136925560 is 131,008 rows of 65,538 bytes modulo 2^64: the last row lies 8 GB behind the file's end.
        using var file = new GgufBuilder().Tensor("blk.0.attn_q.weight", 2, 3932160, 116512, 15473, 8, 1136925560);

        Refused(file, 50 * Megabyte).ShouldContain("dimension 3 of tensor 'blk.0.attn_q.weight' is 1136925560");
    }

    [Fact]
    public void An_offset_that_wraps_round_with_its_length_is_refused()
    {
        using var file = new GgufBuilder().Tensor("a", 0, ulong.MaxValue - 31, 32);

        Refused(file, Megabyte).ShouldContain("tensor 'a' is 128 bytes at");
    }

    [Fact]
    public void Dimensions_too_large_for_a_row_count_are_refused_by_name()
    {
        using var file = new GgufBuilder().Tensor("wide", 0, 0, 1 << 20, 1 << 20, 1 << 24);
        using var rows = new GgufBuilder().Tensor("many", 1, 0, 2, 1UL << 31, 2);
        using var row = new GgufBuilder().Tensor("long", 0, 0, int.MaxValue, 1);

        Refused(file, Megabyte).ShouldContain("dimension 2 of tensor 'wide'");
        Refused(rows, Megabyte).ShouldContain("tensor 'many'");
        Refused(row, Megabyte).ShouldContain("row length of tensor 'long'");
    }

    [Fact]
    public void An_array_nobody_asks_for_costs_no_memory()
    {
        using var builder = new GgufBuilder().Array("tokenizer.ggml.precompiled_charsmap", 0, 19_000_000, new byte[19_000_000]);
        var path = Save(builder, 0);
        var before = GC.GetAllocatedBytesForCurrentThread();

        using var file = GgufFile.Open(path);

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(Megabyte);
        Should.Throw<GgufException>(() => file.Find<int[]>("tokenizer.ggml.precompiled_charsmap")).Message.ShouldContain("19000000");
    }

    [Fact]
    public void Arrays_of_a_vocabulary_are_read_when_asked_for()
    {
        using var builder = new GgufBuilder()
            .Array("texts", 8, 2, [1, 0, 0, 0, 0, 0, 0, 0, (byte)'a', 0, 0, 0, 0, 0, 0, 0, 0]).Array("numbers", 5, 2, [1, 0, 0, 0, 255, 255, 255, 255]).Array("floats", 6, 1, [0, 0, 128, 63]);
        using var file = GgufFile.Open(Save(builder, 0));

        file.Get<string[]>("texts").ShouldBe(["a", ""]);
        file.Get<int[]>("numbers").ShouldBe([1, -1]);
        file.Get<float[]>("floats").ShouldBe([1f]);
        Should.Throw<GgufException>(() => file.Get<string[]>("numbers")).Message.ShouldContain("'numbers' is an array of 2 items of type 5");
        Should.Throw<GgufException>(() => file.Get<long>("texts")).Message.ShouldContain("'texts'");
    }

    [Fact]
    public void A_tensor_of_a_closed_file_is_refused_and_not_read()
    {
        using var builder = new GgufBuilder().Tensor("a", 0, 0, 32);
        var file = GgufFile.Open(Save(builder, Megabyte));
        var tensor = file.Tensor("a");
        tensor.Row(0).Length.ShouldBe(128);

        file.Dispose();

        Should.Throw<ObjectDisposedException>(() => tensor.Row(0).Length);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(40_000)]
    public void A_file_that_is_cut_off_while_it_is_loaded_is_a_fault_of_the_file_and_not_the_end_of_the_process(int left)
    {
        var path = Path.Combine(_folder.FullName, "tiny.gguf");
        File.WriteAllBytes(path, TinyModel.Build().File);
        using var file = GgufFile.Open(path);

        using (var writer = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) writer.SetLength(left);

        Should.Throw<GgufException>(() =>
        {
            foreach (var tensor in file.Tensors.Values.OrderBy(tensor => tensor.Name, StringComparer.Ordinal)) PackedMatrix.Pack(tensor).Dispose();
        }).Message.ShouldContain("it is being written anew");
        if (left == 0) Should.Throw<GgufException>(() => file.Get<string[]>("tokenizer.ggml.tokens")).Message.ShouldContain("it is being written anew");
    }

    [Theory]
    [InlineData(2u, null)]
    [InlineData(1u, "version is 1, but versions 2 and 3 are read")]
    [InlineData(4u, "version is 4")]
    public void Files_of_version_2_are_read_as_those_of_3(uint version, string? fault)
    {
        using var builder = new GgufBuilder { Version = version }.Key("general.architecture", 8, [1, 0, 0, 0, 0, 0, 0, 0, (byte)'x']).Tensor("a", 0, 0, 32);
        var path = Save(builder, Megabyte);

        if (fault is not null)
        {
            Should.Throw<GgufException>(() => GgufFile.Open(path)).Message.ShouldContain(fault);
            return;
        }

        using var file = GgufFile.Open(path);
        file.Get<string>("general.architecture").ShouldBe("x");
        file.Tensor("a").Rows.ShouldBe(1);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\0")]
    [InlineData("missing.gguf")]
    public void A_path_that_is_none_is_a_fault_of_the_file(string name) => Should.Throw<GgufException>(() => GgufFile.Open(Path.Combine(_folder.FullName, name) + (name.Length == 0 ? "/" : "")));

    [Fact]
    public void Any_combination_of_sizes_types_and_offsets_is_refused_or_can_be_read_to_its_last_byte() => Fuzz.Run(output, random =>
    {
        using var builder = new GgufBuilder { Version = random.Next(20) == 0 ? (uint)random.Next(6) : 3, ExtraCount = random.Next(30) == 0 ? Pick(random, Sizes) : 0 };
        for (var i = random.Next(4); i > 0; i--) Metadata(random, builder, i);
        if (random.Next(3) == 0) builder.Key("general.alignment", 4, BitConverter.GetBytes((uint)Pick(random, Sizes)));
        for (var i = random.Next(1, 6); i > 0; i--) builder.Tensor(random.Next(20) == 0 ? "t" : $"t{i}", Type(random), Pick(random, Offsets), Dimensions(random));

        var path = Save(builder, Pick<long>(random, [0, Megabyte, 50 * Megabyte]));
        try
        {
            using var file = GgufFile.Open(path);
            foreach (var tensor in file.Tensors.Values)
            {
                tensor.Row(0).Length.ShouldBe(tensor.RowBytes);
                (tensor.Row(tensor.Rows - 1)[^1] & 0).ShouldBe(0); // read, for it may lie nowhere
                tensor.ByteLength.ShouldBeLessThanOrEqualTo(file.Length);
            }

            foreach (var key in file.Keys) ReadAll(file, key);
            ModelConfig.Read(file);
        }
        catch (Exception exception) when (exception is GgufException or ModelException or TokenizerException)
        {
            exception.Message.Length.ShouldBeInRange(20, 1000);
        }
        finally
        {
            File.Delete(path);
        }
    });

    private static uint Type(Random random) => Pick<uint>(random, [0, 0, 1, 1, 2, 3, 6, 7, 8, 8, 12, 13, 14, 30, 4, 15, uint.MaxValue]);

    private static ulong[] Dimensions(Random random)
    {
        var dimensions = new ulong[random.Next(20) == 0 ? Pick<int>(random, [0, 5, 100]) : random.Next(1, 5)];
        for (var i = 0; i < dimensions.Length; i++)
        {
            dimensions[i] = random.Next(4) switch
            {
                0 => (ulong)random.NextInt64(1, 1L << random.Next(1, 33)),
                1 => (ulong)random.Next(1, 64),
                2 => (ulong)random.Next(1, 4) * (random.Next(2) == 0 ? 32UL : 256),
                _ => Pick(random, Sizes),
            };
        }

        return dimensions;
    }

    private static void Metadata(Random random, GgufBuilder builder, int index)
    {
        var bytes = new byte[random.Next(64)];
        random.NextBytes(bytes);
        if (random.Next(2) == 0) builder.Key($"k{index}", (uint)random.Next(14), bytes);
        else builder.Array(random.Next(3) == 0 ? "tokenizer.ggml.tokens" : $"k{index}", (uint)random.Next(14), random.Next(2) == 0 ? (ulong)random.Next(20) : Pick(random, Sizes), bytes);
    }

    private static void ReadAll(GgufFile file, string key)
    {
        foreach (var read in (Action[])[() => file.Find<string>(key), () => file.Find<string[]>(key), () => file.Find<int[]>(key), () => file.Find<float[]>(key), () => file.Find<long?>(key), () => file.Size(key, 100)])
        {
            try
            {
                read();
            }
            catch (GgufException)
            {
                // Of another kind, and says so.
            }
        }
    }

    private static T Pick<T>(Random random, T[] of) => of[random.Next(of.Length)];

    private string Refused(GgufBuilder file, long length)
    {
        var path = Save(file, length);
        return Should.Throw<GgufException>(() => GgufFile.Open(path)).Message;
    }

    private string Save(GgufBuilder builder, long length)
    {
        var path = Path.Combine(_folder.FullName, Path.GetRandomFileName());
        builder.Save(path, length);
        return path;
    }
}
