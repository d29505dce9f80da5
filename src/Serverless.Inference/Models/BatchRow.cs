namespace Serverless.Inference.Models;

/// <summary>One token of a forward pass.</summary>
/// <param name="Token">The token.</param>
/// <param name="Position">Its place in its sequence, from 0.</param>
/// <param name="Pages">Its sequence's pages, with room for the position.</param>
/// <param name="WantsLogits">Whether the next token's logits are needed.</param>
internal readonly record struct BatchRow(int Token, int Position, List<KeyValuePage> Pages, bool WantsLogits);
