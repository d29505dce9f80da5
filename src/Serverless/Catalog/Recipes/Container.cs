namespace Serverless.Catalog.Recipes;

/// <summary>A replica of a pool as a container: what is to be run, with every variable filled in.</summary>
/// <param name="Recipe">The recipe it is of.</param>
/// <param name="Configs">The recipe's configs that were taken, in this order.</param>
public sealed record Container(string Recipe, IReadOnlyList<string> Configs)
{
    /// <summary>Where every one listens, as llmaz has it.</summary>
    public const int UsualPort = 8080;

    /// <summary>With its tag.</summary>
    public required string Image { get; init; }

    /// <summary>The program and its first arguments.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>The others.</summary>
    public IReadOnlyList<string> Args { get; init; } = [];

    /// <summary>Those of the hosts of a replica after its first; empty: it has one host.</summary>
    public IReadOnlyList<string> WorkerArgs { get; init; } = [];

    /// <summary>Its environment.</summary>
    public IReadOnlyList<RecipeVariable> Envs { get; init; } = [];

    /// <summary>Of each host.</summary>
    public ContainerResources Resources { get; init; } = ContainerResources.None;

    /// <summary>Of <c>/dev/shm</c>; null: what a container has.</summary>
    public string? SharedMemorySize { get; init; }

    /// <summary>Labels a node must have.</summary>
    public IReadOnlyDictionary<string, string> NodeSelector { get; init; } = new Dictionary<string, string>();

    /// <summary>Where it listens.</summary>
    public int Port { get; init; } = UsualPort;

    /// <summary>How many hosts a replica has.</summary>
    public int Hosts { get; init; } = 1;

    /// <summary>Lifecycle and probes, as Kubernetes writes them, in JSON.</summary>
    public IReadOnlyDictionary<string, string> Hooks { get; init; } = new Dictionary<string, string>();

    /// <inheritdoc/>
    public bool Equals(Container? other) =>
        other is not null && Recipe == other.Recipe && Image == other.Image && SharedMemorySize == other.SharedMemorySize && Port == other.Port && Hosts == other.Hosts
        && Command.SequenceEqual(other.Command) && Args.SequenceEqual(other.Args) && WorkerArgs.SequenceEqual(other.WorkerArgs) && Envs.SequenceEqual(other.Envs)
        && Flavor.Same(Resources.Requests, other.Resources.Requests) && Flavor.Same(Resources.Limits, other.Resources.Limits) && Flavor.Same(NodeSelector, other.NodeSelector) && Flavor.Same(Hooks, other.Hooks);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Recipe, Image, Args.Count);
}
