using Serverless.Catalog;

namespace Serverless.Dispatching;

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
}
