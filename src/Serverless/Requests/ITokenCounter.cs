using Serverless.Catalog;

namespace Serverless.Requests;

/// <summary>Port: how many prompt tokens a text of a model is. Thread-safe; must not block on I/O after its first use of a model.</summary>
public interface ITokenCounter
{
    /// <summary>
    /// Tokens of the prompt that <paramref name="body"/> (an OpenAI body of that kind, already validated) becomes, its chat template included; summed over all prompts.
    /// Exact where the model's tokenizer is at hand, else an estimate.
    /// </summary>
    /// <exception cref="Errors.ServingException">The model's template refuses the messages.</exception>
    int CountPrompt(Model model, EndpointName kind, ReadOnlyMemory<byte> body);
}
