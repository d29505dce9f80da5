using Serverless.Inference.Tokenizers;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Models;

/// <summary>A model's files, whatever their format. Its tensors have the names that GGUF gives them. Thread-safe once it is made.</summary>
internal interface IModelSource : IDisposable
{
    ModelConfig Config { get; }

    /// <summary>The names of all tensors that have weights.</summary>
    IEnumerable<string> Names { get; }

    /// <summary>The source of the chat template; null if there is none.</summary>
    string? ChatTemplate { get; }

    WeightRows? Find(string name);

    /// <summary>Reads the vocabulary.</summary>
    Tokenizer ReadTokenizer();

    /// <summary>Throws where the vocabulary is of a kind that is not known; cheap.</summary>
    void CheckTokenizer();
}
