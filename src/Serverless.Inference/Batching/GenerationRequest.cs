using Serverless.Inference.Sampling;

namespace Serverless.Inference.Batching;

/// <summary>A sequence to generate. Immutable.</summary>
public sealed record GenerationRequest
{
    /// <summary>The prompt's tokens; at least one.</summary>
    public required IReadOnlyList<int> Prompt { get; init; }

    /// <summary>Tokens that an earlier attempt has emitted already: the generation continues after them, exactly, and does not report them again.</summary>
    public IReadOnlyList<int> Emitted { get; init; } = [];

    /// <summary>Most tokens to generate, those emitted already among them.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>How tokens are chosen.</summary>
    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>The seed of sampling.</summary>
    public ulong Seed { get; init; }

    /// <summary>Texts before which the output ends.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Alternatives to report with each token; −1: no log-probabilities at all.</summary>
    public int TopLogProbs { get; init; } = -1;

    /// <summary>Alternatives to report with each token of the prompt; −1: the prompt's probabilities are not asked for. If they are, all of it is run, whatever is cached.</summary>
    public int PromptLogProbs { get; init; } = -1;

    /// <summary>Whether the model's own end is ignored.</summary>
    public bool IgnoreEnd { get; init; }

    /// <summary>
    /// Whose it is: it shares cached pages with requests of the same tenant alone. How much of a prompt was cached, which is told and can be measured, would else tell one tenant what another asks.
    /// </summary>
    public string Tenant { get; init; } = "";

    /// <summary>Lower lanes are served first, and take room from higher ones.</summary>
    public int Lane { get; init; }

    /// <summary>Nobody waits for its next token: it stands still in passes that bring others their first.</summary>
    public bool Unattended { get; init; }

    /// <summary>After this nobody wants it: of one lane what is due first is served first.</summary>
    public DateTimeOffset Deadline { get; init; } = DateTimeOffset.MaxValue;
}
