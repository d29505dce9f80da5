using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>What of a request decides how its answer goes to its client. Immutable; written into its log's head, so that any gateway answers alike.</summary>
internal sealed record AnswerShape
{
    public required RequestId Id { get; init; }

    public required EndpointName Endpoint { get; init; }

    /// <summary>Its API.</summary>
    /// <exception cref="ServingException">A later release has it, and this one does not.</exception>
    public ApiEndpoint RequireApi() => ApiEndpoint.TryFind(Endpoint, out var api) ? api : throw new ServingException(new ServingFault(
        ServingError.StoreUnavailable, $"Request '{Id}' is of endpoint '{Endpoint}', which this server does not know yet; ask again when its roll-out is done."));

    /// <summary>The model's name as the catalogue writes it.</summary>
    public required string Model { get; init; }

    /// <summary><c>created</c>: Unix seconds.</summary>
    public required long Created { get; init; }

    /// <summary>The tier really used: <c>default</c>, <c>priority</c> or <c>flex</c>.</summary>
    public required string ServiceTier { get; init; }

    /// <summary>Changes when the same seed may give another text.</summary>
    public required string SystemFingerprint { get; init; }

    public required int Choices { get; init; }

    /// <summary>Whether log-probabilities were asked for.</summary>
    public bool LogProbs { get; init; }

    /// <summary>Alternatives asked for at each position.</summary>
    public int TopLogProbs { get; init; }

    /// <summary>Whether a stream ends with its usage.</summary>
    public bool IncludeUsage { get; init; }

    /// <summary>Whether its client asked for it part by part.</summary>
    public bool Stream { get; init; }

    /// <summary>Whether it was asked for under an idempotency key.</summary>
    public bool Keyed { get; init; }

    /// <summary>How long it runs on after its client went, whole seconds; zero: it is cancelled at once.</summary>
    public TimeSpan Resume { get; init; }

    /// <summary>The prompts a completion repeats before its output; empty unless <c>echo</c>.</summary>
    public IReadOnlyList<string> Echo { get; init; } = [];
}
