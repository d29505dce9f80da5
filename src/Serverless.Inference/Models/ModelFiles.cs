using Serverless.Inference.Gguf;
using Serverless.Inference.Tokenizers;
using Serverless.Inference.Weights;

namespace Serverless.Inference.Models;

/// <summary>A model as it lies on disk, opened as far as its headers go: what can be told of it before anything is loaded. Dispose it after its last use.</summary>
public sealed class ModelFiles : IDisposable
{
    private readonly IModelSource _source;

    private ModelFiles(IModelSource source) => _source = source;

    /// <summary>Its sizes.</summary>
    public ModelConfig Config => _source.Config;

    /// <summary>The source of its chat template, or null if it has none.</summary>
    public string? ChatTemplate => _source.ChatTemplate;

    /// <summary>Opens a GGUF file, or a folder of transformers.</summary>
    /// <param name="path">The file or folder.</param>
    /// <exception cref="ModelFileException">A file is missing or malformed.</exception>
    /// <exception cref="ModelException">The model is of a kind that this engine does not run.</exception>
    public static ModelFiles Look(string path) => new(Open(path));

    /// <summary>Reads what prompts are made with, the tokenizer and the chat template's source, also of a GGUF file whose architecture this engine does not run.</summary>
    /// <exception cref="TokenizerException">The tokenizer is of a kind that is not known.</exception>
    /// <exception cref="ModelFileException">A file is missing or malformed.</exception>
    /// <exception cref="ModelException">A folder's model is of a kind that this engine does not run.</exception>
    public static (Tokenizer Tokenizer, string? ChatTemplate) ReadPrompting(string path)
    {
        if (Directory.Exists(path))
        {
            using var folder = ModelFolder.Open(path);
            return (folder.ReadTokenizer(), folder.ChatTemplate);
        }

        using var file = GgufFile.Open(path);
        return (Tokenizer.Load(file), file.Find<string>("tokenizer.chat_template"));
    }

    /// <summary>Whether this engine runs the model, as far as its headers say: cheap, so that a manifest's reader can tell.</summary>
    /// <exception cref="ModelFileException">A file is malformed.</exception>
    /// <exception cref="ModelException">The model is of a kind that this engine does not run.</exception>
    /// <exception cref="TokenizerException">Its tokenizer is of a kind that is not known.</exception>
    public void Check()
    {
        _source.CheckTokenizer();
        WeightReader.Check(_source);
    }

    /// <inheritdoc/>
    public void Dispose() => _source.Dispose();

    internal static IModelSource Open(string path) => Directory.Exists(path) ? ModelFolder.Open(path) : GgufSource.Open(path);
}
