using Serverless.Inference.Gguf;
using Serverless.Inference.Tokenizers;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Models;

/// <summary>A model in a GGUF file.</summary>
/// <param name="file">The file.</param>
/// <param name="isOwner">Whether it is closed with this.</param>
internal sealed class GgufSource(GgufFile file, bool isOwner) : IModelSource
{
    public ModelConfig Config { get; } = GgufConfig.Read(file);

    /// <summary>All but what the sizes were read from.</summary>
    public IEnumerable<string> Names => file.Tensors.Keys.Where(name => Config.Rotary is null || name != GgufConfig.RotaryFactorsTensor);

    public string? ChatTemplate => file.Find<string>("tokenizer.chat_template");

    public WeightRows? Find(string name) => file.Tensors.GetValueOrDefault(name);

    public Tokenizer ReadTokenizer() => Tokenizer.Load(file);

    public void CheckTokenizer() => Tokenizer.Check(file);

    public void Dispose()
    {
        if (isOwner) file.Dispose();
    }
}
