using Serverless.Catalog;

namespace Serverless.Requests;

/// <summary>Port: how many prompt tokens a text of a model is. Thread-safe; must not block on I/O after its first use of a model, but to see whether its file was replaced.</summary>
public interface ITokenCounter
{
    /// <summary>
    /// Tokens of the prompt that <paramref name="body"/> (an OpenAI body of that kind, already validated) becomes, its chat template included; summed over all prompts.
    /// Exact where the model's tokenizer is at hand, else an estimate.
    /// </summary>
    /// <exception cref="Errors.ServingException">The model's template refuses the messages.</exception>
    int CountPrompt(Model model, EndpointName kind, ReadOnlyMemory<byte> body);

    /// <summary>
    /// The same with a bound: a prompt that must be longer than <paramref name="limit"/> is not read to its end, and one that shows it by its bytes alone is not tokenized.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="kind">What the body is.</param>
    /// <param name="body">The body.</param>
    /// <param name="limit">Most tokens of one prompt.</param>
    /// <param name="wantBlocks">Whether the hashes of the first prompt's blocks are wanted.</param>
    /// <param name="at">When the request was accepted, for templates that write a date; the engine renders with the same.</param>
    /// <exception cref="Errors.ServingException">The model's template refuses the messages, or does not show what they ask for.</exception>
    PromptCount CountPrompt(Model model, EndpointName kind, ReadOnlyMemory<byte> body, int limit, bool wantBlocks = false, DateTimeOffset at = default)
    {
        var count = CountPrompt(model, kind, body);
        return new PromptCount(count, count, count > limit);
    }
}

/// <summary>What a body comes to in tokens.</summary>
/// <param name="Tokens">Of all prompts together. Where the limit is passed: at least so many.</param>
/// <param name="Longest">Of the longest prompt; each must fit the context by itself. Where the limit is passed: at least so many.</param>
/// <param name="IsOverLimit">Whether a prompt is longer than the limit, so that counting has stopped.</param>
public readonly record struct PromptCount(int Tokens, int Longest, bool IsOverLimit)
{
    /// <summary>Tokens of a block.</summary>
    public const int BlockTokens = 32;

    /// <summary>A hash for each full block of <see cref="BlockTokens"/> of the first prompt, each of all tokens up to the block's end: equal where the prefixes are. Empty unless asked for.</summary>
    public IReadOnlyList<ulong> Blocks { get; init; } = [];

    /// <summary>A prompt that is longer than the limit by what is known of it.</summary>
    public static PromptCount AtLeast(long tokens)
    {
        var count = (int)Math.Min(int.MaxValue, tokens);
        return new PromptCount(count, count, true);
    }
}
