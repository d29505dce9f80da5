namespace Serverless.Catalog.Recipes;

/// <summary>How an engine runs in containers: a BackendRuntime, shipped or of a manifest. By value it is what was written.</summary>
/// <param name="Name">As <c>backendName</c> has it; one for other images than NVIDIA's carries their family behind it (<c>vllm-rocm</c>).</param>
/// <param name="Text">The document, as JSON.</param>
public sealed record Recipe(string Name, string Text)
{
    /// <summary>Without its tag.</summary>
    public string? Image { get; init; }

    /// <summary>The tag, unless a Playground has another; null: none.</summary>
    public string? Version { get; init; }

    /// <summary>The families of images that it is (<see cref="Accelerators.ImageFamily"/>); empty: nobody said.</summary>
    public IReadOnlyList<string> Families { get; init; } = [];

    /// <summary>The program and its first arguments.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary>Variables of its environment.</summary>
    public IReadOnlyList<RecipeVariable> Envs { get; init; } = [];

    /// <summary><c>lifecycle</c>, <c>startupProbe</c>, <c>livenessProbe</c> and <c>readinessProbe</c>, as Kubernetes writes them, in JSON.</summary>
    public IReadOnlyDictionary<string, string> Hooks { get; init; } = new Dictionary<string, string>();

    /// <summary>Sets of arguments and resources; a name may come several times, each for other versions.</summary>
    public IReadOnlyList<RecipeConfig> Configs { get; init; } = [];

    /// <inheritdoc/>
    public bool Equals(Recipe? other) => other is not null && Name == other.Name && Text == other.Text;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Text);
}

/// <summary>A variable of a container's environment.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Value">Its value; null where it comes from elsewhere.</param>
/// <param name="From">Where it comes from (<c>valueFrom</c>), as Kubernetes writes it, in JSON; null: nowhere else.</param>
public sealed record RecipeVariable(string Name, string? Value, string? From = null);

/// <summary>One of a recipe's <c>recommendedConfigs</c>.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Field">Where it stands, as faults name it.</param>
public sealed record RecipeConfig(string Name, string Field)
{
    /// <summary>The releases it is for; null: all.</summary>
    public VersionRange? Versions { get; init; }

    /// <summary>The config whose arguments come before; null: none.</summary>
    public string? Extends { get; init; }

    /// <summary>Arguments, with variables.</summary>
    public IReadOnlyList<string> Args { get; init; } = [];

    /// <summary>More of them for the hosts of a replica after its first.</summary>
    public IReadOnlyList<string> WorkerArgs { get; init; } = [];

    /// <summary>Variables of the environment that it needs.</summary>
    public IReadOnlyList<RecipeVariable> Envs { get; init; } = [];

    /// <summary>Resources of the container.</summary>
    public ContainerResources Resources { get; init; } = ContainerResources.None;

    /// <summary>Of <c>/dev/shm</c>; null: what a container has.</summary>
    public string? SharedMemorySize { get; init; }
}
