using System.Globalization;
using Serverless.Inference.Gguf;
using Serverless.Inference.Tokenizers;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Models;

/// <summary>A model in a GGUF file, or in several of which the first has the metadata.</summary>
internal sealed class GgufSource : IModelSource
{
    private const int MaxParts = 999;

    private readonly List<GgufFile> _files;
    private readonly Dictionary<string, GgufTensor> _tensors = new(StringComparer.Ordinal);

    private GgufSource(List<GgufFile> files)
    {
        _files = files;
        foreach (var tensor in files.SelectMany(file => file.Tensors.Values))
        {
            if (!_tensors.TryAdd(tensor.Name, tensor)) throw new GgufException($"Two parts of the file have a tensor '{tensor.Name}'.");
        }

        Config = GgufConfig.Read(files[0], _tensors.GetValueOrDefault);
    }

    public ModelConfig Config { get; }

    /// <summary>All but what the sizes were read from.</summary>
    public IEnumerable<string> Names => _tensors.Keys.Where(name => Config.Rotary is null || name != GgufConfig.RotaryFactorsTensor);

    public string? ChatTemplate => _files[0].Find<string>("tokenizer.chat_template");

    /// <summary>Opens a file, and where it is the first of several the others that its name leads to.</summary>
    /// <exception cref="GgufException">One is missing or malformed.</exception>
    /// <exception cref="ModelException">The model is of a kind that this engine does not run.</exception>
    public static GgufSource Open(string path)
    {
        List<GgufFile> files = [GgufFile.Open(path)];
        try
        {
            var count = files[0].Find<long?>("split.count") ?? 1;
            if (count > 1) AddParts(path, count, files);
            return new GgufSource(files);
        }
        catch
        {
            foreach (var file in files) file.Dispose();
            throw;
        }
    }

    public WeightRows? Find(string name) => _tensors.GetValueOrDefault(name);

    public Tokenizer ReadTokenizer() => Tokenizer.Load(_files[0]);

    public void CheckTokenizer() => Tokenizer.Check(_files[0]);

    public void Dispose()
    {
        foreach (var file in _files) file.Dispose();
    }

    private static void AddParts(string path, long count, List<GgufFile> files)
    {
        if (count > MaxParts) throw new GgufException(string.Create(CultureInfo.InvariantCulture, $"'{path}': split.count is {count}; at most {MaxParts} parts are read."));
        var ending = Ending(1, count);
        if (files[0].Find<long?>("split.no") is not 0 || !path.EndsWith(ending, StringComparison.Ordinal))
            throw new GgufException(string.Create(CultureInfo.InvariantCulture, $"'{path}' is part {(files[0].Find<long?>("split.no") ?? 0) + 1} of {count}; name the first, which ends in '{ending}'."));

        for (var part = 2; part <= count; part++)
        {
            var other = GgufFile.Open(path[..^ending.Length] + Ending(part, count));
            files.Add(other);
            if (other.Find<long?>("split.no") is var number && number != part - 1) throw new GgufException(string.Create(CultureInfo.InvariantCulture, $"'{path[..^ending.Length]}{Ending(part, count)}': split.no is {number}; it must be {part - 1}."));
        }

        var tensors = files.Sum(file => file.Tensors.Count);
        if (files[0].Find<long?>("split.tensors.count") is { } wanted && wanted != tensors) throw new GgufException(string.Create(CultureInfo.InvariantCulture, $"'{path}': split.tensors.count is {wanted}; its {count} parts have {tensors}."));
    }

    private static string Ending(long part, long count) => string.Create(CultureInfo.InvariantCulture, $"-{part:D5}-of-{count:D5}.gguf");
}
