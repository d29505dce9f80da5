using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.Sessions;

/// <summary>Who a worker says it is when it connects.</summary>
public sealed record WorkerDescription
{
    /// <summary>Unique among live workers: a replica's name.</summary>
    public required string Worker { get; init; }

    /// <summary>The pool it belongs to.</summary>
    public required PoolName Pool { get; init; }

    /// <summary>The model it serves.</summary>
    public required ModelName Model { get; init; }

    /// <summary>Name of its engine.</summary>
    public required string Engine { get; init; }

    /// <summary>Tokens its KV cache holds.</summary>
    public required long KvCapacityTokens { get; init; }

    /// <summary>Sequences it runs at once.</summary>
    public required int Slots { get; init; }

    /// <summary>
    /// Endpoints whose requests it can read and its engine can answer, by their names on the wire. Empty of a worker of before they were told: it knows <see cref="FirstEndpoints"/>.
    /// </summary>
    public IReadOnlyList<string> Endpoints { get; init; } = [];

    /// <summary>What its engine honours beyond plain sampled text, by name. Empty of a worker of before they were told.</summary>
    public IReadOnlyList<string> Features { get; init; } = [];

    /// <summary>What every worker knows.</summary>
    public static IReadOnlyList<string> FirstEndpoints { get; } = [EndpointName.ChatCompletions.Value, EndpointName.Completions.Value];

    /// <summary>Whether its engine is still loading: it takes no work yet, and connects again when it is up.</summary>
    public bool Loading { get; init; }

    /// <summary>When the replica was asked for; null where nobody knows.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>What it runs already, begun under an earlier dispatcher: adopted, not repeated.</summary>
    public IReadOnlyList<AttemptClaim> Running { get; init; } = [];

    /// <summary>Whether it can run that request: it knows the endpoint, and its engine honours all that is asked for.</summary>
    public bool Understands(InferenceRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (!(Endpoints.Count > 0 ? Endpoints : FirstEndpoints).Contains(request.Endpoint.Value, StringComparer.Ordinal)) return false;

        for (var need = 0; need < request.Needs.Count; need++) // asked for each replica with each request: nothing is allocated for it
        {
            if (!Features.Contains(request.Needs[need], StringComparer.Ordinal)) return false;
        }

        return true;
    }

    /// <summary>The highest epoch it has followed; a dispatcher of a lower one must not use it.</summary>
    public long HighestEpoch { get; init; }
}

/// <summary>An attempt that a worker holds when it registers with the next dispatcher.</summary>
/// <param name="Id">Which request.</param>
/// <param name="Attempt">Its number, from 1.</param>
/// <param name="LastSequence">Sequence of the last event the worker knows to be in the log.</param>
public sealed record AttemptClaim(RequestId Id, int Attempt, long LastSequence)
{
    /// <summary>The store's run of its fence; empty of a worker that does not say.</summary>
    public string StoreRun { get; init; } = "";
}
