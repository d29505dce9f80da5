using System.Collections.Concurrent;
using Serverless.Catalog;
using Serverless.Inference.Gguf;
using Serverless.Inference.Tokenizers;
using Serverless.Requests;

namespace Serverless.Hosting.Tokens;

/// <summary>Counts with the template and tokenizer of the model's own file: exactly what the engine will see. Models without a file here are estimated at four bytes a token.</summary>
public sealed class GgufTokenCounter : ITokenCounter
{
    private const int BytesPerToken = 4;

    private readonly ConcurrentDictionary<ModelName, Lazy<PromptReader>> _readers = new();

    /// <inheritdoc/>
    public int CountPrompt(Model model, EndpointName kind, ReadOnlyMemory<byte> body)
    {
        ArgumentNullException.ThrowIfNull(model);
        if (model.Source.Scheme != "host") return Math.Max(1, body.Length / BytesPerToken);

        var reader = _readers.GetOrAdd(model.Name, _ => new Lazy<PromptReader>(() => Open(model.Source.Location))).Value;
        return reader.Encode(OpenAiBody.Parse(kind, body)).Sum(prompt => prompt.Count);
    }

    private static PromptReader Open(string path)
    {
        using var file = GgufFile.Open(path);
        return PromptReader.Load(Tokenizer.Load(file), file.Find<string>("tokenizer.chat_template"));
    }
}
