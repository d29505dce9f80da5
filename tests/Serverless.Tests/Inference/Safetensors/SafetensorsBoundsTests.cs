using System.Text;
using System.Text.Json.Nodes;
using Serverless.Inference.Models;
using Serverless.Inference.Safetensors;
using Serverless.Inference.Tokenizers;
using Serverless.Inference.Weights;
using Shouldly;

namespace Serverless.Tests.Inference.Safetensors;

/// <summary>Whatever the files of a folder say, they are refused with a reason or loaded: nothing crashes, hangs, or asks for memory that the files could not fill.</summary>
public sealed class SafetensorsBoundsTests(ITestOutputHelper output) : IDisposable
{
    private static readonly long[] Sizes = [0, 1, 2, 31, 32, 64, 512, 65536, int.MaxValue, 1L << 31, 1L << 40, 1L << 62, long.MaxValue, -1];
    private static readonly string[] Files = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-safetensors");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}}""", null)]
    [InlineData("""{"a":{"dtype":"F32","shape":[4,5],"data_offsets":[0,64]}}""", "its shape and dtype make 80 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[64,128]}}""", "it is truncated")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[64,0]}}""", "data_offsets of tensor 'a' is 64 to 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4294967296,4294967296,16],"data_offsets":[0,64]}}""", "dimension 0 of tensor 'a' is 4294967296")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1048576,1048576,1048576],"data_offsets":[0,64]}}""", "dimension 2 of tensor 'a'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-4,4],"data_offsets":[0,64]}}""", "shape of tensor 'a'")]
    [InlineData("""{"a":{"dtype":"I64","shape":[4,2],"data_offsets":[0,64]}}""", "'I64'")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4,4]}}""", "without shape or data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]},"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}}""", "that tensor was there already")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64],"b":1}}""", "'b'")]
    [InlineData("""{"a":[]}""", "tensor 'a' is a JSON StartArray")]
    [InlineData("""[1]""", "the header is a JSON StartArray")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4,4],"data_offsets":[0,64]}""", "no JSON")]
    public void A_header_is_read_or_refused_by_its_field(string header, string? fault)
    {
        var path = Save(header, 64);
        if (fault is not null)
        {
            Should.Throw<SafetensorsException>(() => SafetensorsFile.Open(path)).Message.ShouldContain(fault);
            return;
        }

        using var file = SafetensorsFile.Open(path);
        file.Tensors["a"].Row(3).Length.ShouldBe(16);
    }

    [Theory]
    [InlineData(ulong.MaxValue, "at most")]
    [InlineData(1UL << 24, "it is truncated")]
    [InlineData((1UL << 24) + 1, "at most 16777216")]
    public void A_length_of_the_header_that_the_file_does_not_hold_costs_nothing(ulong length, string fault)
    {
        var path = Path.Combine(_folder.FullName, "long.safetensors");
        File.WriteAllBytes(path, [.. BitConverter.GetBytes(length), .. "{}"u8]);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Should.Throw<SafetensorsException>(() => SafetensorsFile.Open(path)).Message.ShouldContain(fault);

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(1 << 20);
    }

    [Fact]
    public void Any_header_is_refused_or_can_be_read_to_its_last_byte() => Fuzz.Run(output, random =>
    {
        var header = new JsonObject();
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            var shape = new JsonArray([.. Enumerable.Range(0, random.Next(6)).Select(_ => (JsonNode)Pick(random, Sizes))]);
            var begin = Pick(random, Sizes);
            header[$"t{i}"] = new JsonObject { ["dtype"] = Pick(random, ["F32", "F16", "BF16", "F64", ""]), ["shape"] = shape, ["data_offsets"] = new JsonArray(begin, random.Next(2) == 0 ? begin + (random.Next(5) * 64) : Pick(random, Sizes)) };
        }

        var text = Encoding.UTF8.GetBytes(header.ToJsonString());
        for (var flips = random.Next(3); flips > 0; flips--) text[random.Next(text.Length)] = (byte)random.Next(256);
        var path = Path.Combine(_folder.FullName, Path.GetRandomFileName());
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((ulong)text.Length + (ulong)(random.Next(10) == 0 ? random.Next(100) : 0)), .. text, .. new byte[random.Next(2000)]]);
        try
        {
            using var file = SafetensorsFile.Open(path);
            foreach (var tensor in file.Tensors.Values)
            {
                tensor.Row(0).Length.ShouldBe(tensor.RowBytes);
                tensor.Row(tensor.Rows - 1).Length.ShouldBe(tensor.RowBytes);
            }
        }
        catch (SafetensorsException exception)
        {
            exception.Message.Length.ShouldBeInRange(20, 1000);
        }
        finally
        {
            File.Delete(path);
        }
    });

    [Fact]
    public void A_folder_spoilt_anywhere_is_refused_or_loads()
    {
        TinyFolder.Save(_folder.FullName);
        var whole = Files.ToDictionary(name => name, name => File.ReadAllBytes(Path.Combine(_folder.FullName, name)), StringComparer.Ordinal);
        Fuzz.Run(output, random =>
        {
            var name = Pick(random, Files);
            var path = Path.Combine(_folder.FullName, name);
            byte[] spoilt = [.. whole[name]];
            var reach = name == "model.safetensors" ? 1200 : spoilt.Length;
            for (var flips = random.Next(1, 4); flips > 0; flips--) spoilt[random.Next(reach)] = random.Next(3) == 0 ? (byte)random.Next(256) : Pick(random, "0123456789-.\"{}[],:eEtrufalsn"u8.ToArray());
            File.WriteAllBytes(path, random.Next(12) == 0 ? spoilt[..random.Next(spoilt.Length)] : spoilt);
            try
            {
                using var model = InferenceModel.Load(_folder.FullName, null, CancellationToken.None);
                model.Tokenizer.Encode("the quick", parseSpecial: true);
            }
            catch (Exception exception) when (exception is ModelFileException or ModelException or TokenizerException)
            {
                exception.Message.Length.ShouldBeInRange(20, 2000, exception.Message);
            }
            finally
            {
                File.WriteAllBytes(path, whole[name]);
            }
        });
    }

    private static T Pick<T>(Random random, T[] of) => of[random.Next(of.Length)];

    private string Save(string header, int data)
    {
        var path = Path.Combine(_folder.FullName, Path.GetRandomFileName());
        var text = Encoding.UTF8.GetBytes(header);
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((ulong)text.Length), .. text, .. new byte[data]]);
        return path;
    }
}
