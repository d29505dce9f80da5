using CsCheck;
using Serverless.Inference.Batching;
using Serverless.Inference.Gguf;
using Serverless.Inference.Models;
using Serverless.Inference.Templates;
using Serverless.Inference.Tokenizers;
using Shouldly;

namespace Serverless.Tests.Inference.Gguf;

/// <summary>A spoilt model file is refused with a reason, or runs: it never crashes, hangs, or asks for memory it could not fill.</summary>
public sealed class CorruptFileTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("serverless-gguf");
    private int _files;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task The_whole_file_loads_and_runs()
    {
        var (file, _, _) = TinyModel.Build();

        (await RunAsync(file)).ShouldBeNull();
    }

    [Fact]
    public async Task Every_field_of_the_header_may_hold_anything()
    {
        var (file, fields, _) = TinyModel.Build();
        byte[][] values =
        [
            [0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], [255, 255, 255, 255, 255, 255, 255, 255], [255, 255, 255, 255, 255, 255, 255, 127], [0, 0, 0, 0, 1, 0, 0, 0],
            [0, 0, 0, 128, 0, 0, 0, 0], [0, 0, 192, 127, 0, 0, 0, 0], [7, 0, 0, 0, 0, 0, 0, 0], [33, 0, 0, 0, 0, 0, 0, 0],
        ];
        var faults = new List<string>();
        var items = 0;
        foreach (var (name, offset) in fields)
        {
            // The 260 tokens are alike: a few of them speak for all.
            if (name.StartsWith("item of", StringComparison.Ordinal) && ++items % 40 != 0) continue;

            foreach (var value in values)
            {
                foreach (var width in new[] { 4, 8 })
                {
                    byte[] spoilt = [.. file];
                    value.AsSpan(0, width).CopyTo(spoilt.AsSpan(offset));
                    if (await RunAsync(spoilt) is { } fault && !IsRefusal(fault)) faults.Add($"{name} = {Convert.ToHexString(value.AsSpan(0, width))}: {fault}");
                }
            }
        }

        faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_file_cut_anywhere_is_refused_as_truncated()
    {
        var (file, _, header) = TinyModel.Build();
        int[] cuts = [.. Enumerable.Range(0, 64), .. Enumerable.Range(1, 60).Select(part => header * part / 60), header + 1, file.Length / 2, file.Length - 1];
        foreach (var length in cuts)
        {
            (await RunAsync(file[..length])).ShouldBeOfType<GgufException>($"cut at {length}").Message.ShouldMatch("truncated|bytes");
        }
    }

    [Fact]
    public void Bytes_flipped_at_random_do_no_harm()
    {
        var (file, _, header) = TinyModel.Build();
        Gen.Select(Gen.Int[0, header - 1], Gen.Byte).List[1, 6].Sample(
            flips =>
            {
                byte[] spoilt = [.. file];
                foreach (var (at, value) in flips) spoilt[at] = value;
                var path = Save(spoilt);
                try
                {
                    using var model = InferenceModel.Load(path, null, CancellationToken.None);
                }
                catch (Exception exception)
                {
                    IsRefusal(exception).ShouldBeTrue(exception.ToString());
                }

                File.Delete(path);
            },
            iter: 1500);
    }

    [Fact]
    public async Task A_file_spoilt_at_random_runs_or_is_refused()
    {
        var (file, _, header) = TinyModel.Build();
        var runs = Fuzz.Number("FUZZ_RUNS", 150);
        var first = Fuzz.Number("FUZZ_SEED", 12);
        for (var seed = first; seed < first + runs; seed++)
        {
            var random = new Random(seed);
            byte[] spoilt = [.. file];
            for (var flips = random.Next(1, 12); flips > 0; flips--) spoilt[random.Next(3) == 0 ? random.Next(header) : random.Next(file.Length)] = (byte)random.Next(256);

            if (await RunAsync(spoilt) is { } fault) IsRefusal(fault).ShouldBeTrue($"seed {seed}: {fault}");
        }
    }

    private static bool IsRefusal(Exception exception) => exception is GgufException or ModelException or TokenizerException or TemplateException && exception.Message.Length > 20;

    /// <summary>Loads and runs a few tokens; what it was refused with, or null.</summary>
    private async Task<Exception?> RunAsync(byte[] file)
    {
        var path = Save(file);
        try
        {
            using var model = InferenceModel.Load(path, null, TestContext.Current.CancellationToken);
            if (model.ChatTemplate is { } template) ChatTemplate.Parse(template);
            await using var engine = new InferenceEngine(model, new InferenceEngineOptions { Threads = 1, KvTokens = 128, MaxSequences = 1 }, TimeProvider.System);
            await foreach (var step in engine.GenerateAsync(new GenerationRequest { Prompt = [1, 2], MaxTokens = 2, Seed = 1 }, TestContext.Current.CancellationToken)) step.Position.ShouldBeLessThan(2);
            return null;
        }
        catch (Exception exception)
        {
            return exception;
        }
        finally
        {
            File.Delete(path);
        }
    }

    private string Save(byte[] file)
    {
        var path = Path.Combine(_folder.FullName, $"{Interlocked.Increment(ref _files)}.gguf");
        File.WriteAllBytes(path, file);
        return path;
    }
}
