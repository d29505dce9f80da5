namespace Serverless.Catalog.Recipes;

/// <summary>What a container asks for and may use, as in Kubernetes.</summary>
public sealed record ContainerResources(IReadOnlyDictionary<string, string> Requests, IReadOnlyDictionary<string, string> Limits)
{
    /// <summary>Nothing is said.</summary>
    public static ContainerResources None { get; } = new(new Dictionary<string, string>(), new Dictionary<string, string>());

    /// <summary>These, with what <paramref name="more"/> says over them.</summary>
    public ContainerResources With(ContainerResources more)
    {
        ArgumentNullException.ThrowIfNull(more);
        return new ContainerResources(Over(Requests, more.Requests), Over(Limits, more.Limits));
    }

    private static SortedDictionary<string, string> Over(IReadOnlyDictionary<string, string> low, IReadOnlyDictionary<string, string> high)
    {
        var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, quantity) in low.Concat(high)) all[name] = quantity;
        return all;
    }
}
