using Serverless.Catalog;

namespace Serverless.Requests;

/// <summary>An admitted request on its way to an engine: the client's own bytes and what admission learned from them. Immutable.</summary>
public sealed record InferenceRequest
{
    /// <summary>Its name.</summary>
    public required RequestId Id { get; init; }

    /// <summary>The model asked for; in the catalogue at admission.</summary>
    public required ModelName Model { get; init; }

    /// <summary>What <see cref="Body"/> is.</summary>
    public required EndpointName Endpoint { get; init; }

    /// <summary>The client's JSON as it came: never re-serialised. Owned by the request.</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>Prompt tokens over all prompts of the request, as <see cref="ITokenCounter"/> counts them.</summary>
    public required int PromptTokens { get; init; }

    /// <summary>Cap of output tokens for each choice, at most what the context leaves; at least 1.</summary>
    public required int MaxOutputTokens { get; init; }

    /// <summary>Choices to generate: n, or prompts × n for completions; at least 1.</summary>
    public int Choices { get; init; } = 1;

    /// <summary>What it asks of an engine beyond plain sampled text, by name: a worker whose engine does not say that it honours one would pass it over without a word, so it gets none of it.</summary>
    public IReadOnlyList<string> Needs { get; init; } = [];

    /// <summary>Priority class.</summary>
    public Lane Lane { get; init; } = Lane.Interactive;

    /// <summary>Who owes the answer.</summary>
    public Promise Promise { get; init; } = Promise.Connection;

    /// <summary>Who holds <see cref="Promise.Connection"/>: the gateway's instance name. When its lease as a holder lapses, the request is ended. Empty for other promises.</summary>
    public string Holder { get; init; } = "";

    /// <summary>Whether its client may come back for it; see <see cref="LogHead.Resumable"/>.</summary>
    public bool Resumable { get; init; }

    /// <summary>How its answer is rendered; see <see cref="LogHead.Shape"/>. Whoever opens its log, or opens it again after a store lost it, has it from here.</summary>
    public ReadOnlyMemory<byte> Shape { get; init; }

    /// <summary>Whose it is.</summary>
    public Owner Owner { get; init; } = Owner.Local;

    /// <summary>Requests of one conversation (<c>X-Conversation-Id</c>) run one at a time, in order; null: no such tie.</summary>
    public string? Conversation { get; init; }

    /// <summary>Seed of sampling: the client's, or a hash of the id, so that every attempt draws the same numbers.</summary>
    public required ulong Seed { get; init; }

    /// <summary>When it was admitted.</summary>
    public required DateTimeOffset AcceptedAt { get; init; }

    /// <summary>After this nobody wants the answer: it is ended wherever it is.</summary>
    public required DateTimeOffset Deadline { get; init; }

    /// <summary>Tokens the request may come to hold in a KV cache: the prompt and every choice's cap.</summary>
    public long MaxTotalTokens => PromptTokens + ((long)MaxOutputTokens * Choices);
}
