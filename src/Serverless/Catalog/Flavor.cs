namespace Serverless.Catalog;

/// <summary>One way to run a model on an accelerator class; a model lists them in order of preference.</summary>
public sealed record Flavor
{
    /// <summary>The name claims refer to.</summary>
    public required string Name { get; init; }

    /// <summary>The accelerator class, as pools report it: the flavor's name unless the class is declared apart. <c>cpu</c> for the in-process engine.</summary>
    public required string AcceleratorClass { get; init; }

    /// <summary>Resources per replica and host, as in Kubernetes (<c>nvidia.com/gpu: 1</c>).</summary>
    public IReadOnlyDictionary<string, string> Limits { get; init; } = new Dictionary<string, string>();

    /// <summary>Labels a node must have.</summary>
    public IReadOnlyDictionary<string, string> NodeSelector { get; init; } = new Dictionary<string, string>();

    /// <summary>Engine parameters of this flavor (<c>TP</c>, <c>PP</c>, and ours: <c>threads</c>, <c>slots</c>, <c>kvTokens</c>).</summary>
    public IReadOnlyDictionary<string, string> Params { get; init; } = new Dictionary<string, string>();

    /// <summary>What a replica costs an hour, in any currency that all flavors share; null: not known. Default: null.</summary>
    public double? HourlyPrice { get; init; }

    /// <summary>Which part of a request its replicas do. Default: all of it.</summary>
    public PoolRole Role { get; init; }
}
