using System.Globalization;
using Serverless.Catalog.Accelerators;

namespace Serverless.Catalog.Recipes;

/// <summary>How a replica of a flavor is split over accelerators and hosts.</summary>
/// <param name="Resource">What the accelerator is called; null: nobody knows.</param>
/// <param name="PerHost">How many each host has.</param>
/// <param name="Hosts">How many hosts a replica has.</param>
/// <param name="Tensor">Tensor parallel: shards of each layer.</param>
/// <param name="Pipeline">Pipeline parallel: groups of layers.</param>
internal readonly record struct AcceleratorSplit(string? Resource, int PerHost, int Hosts, int Tensor, int Pipeline)
{
    /// <summary>
    /// By the flavor's limits, its <c>hosts</c>, <c>TP</c> and <c>PP</c>. What is not written follows from the rest: a stage of the pipeline for each host, all of a host's
    /// accelerators for each shard; without limits as many as the split needs.
    /// </summary>
    public static AcceleratorSplit Of(Flavor flavor, Action<string, string> fault)
    {
        var (tensor, pipeline, hosts) = (Number(flavor, RecipeRenderer.TensorParallel), Number(flavor, RecipeRenderer.PipelineParallel), Number(flavor, RecipeRenderer.Hosts) ?? 1);
        var written = flavor.Limits.FirstOrDefault(limit => ImageFamily.OfResource(limit.Key) is not null and not ImageFamily.Cpu);
        int? count = null;
        if (written.Key is not null)
        {
            if (int.TryParse(written.Value, NumberStyles.None, CultureInfo.InvariantCulture, out var whole) && whole >= 1) count = whole;
            else fault("limits", $"gives {written.Key} the quantity '{written.Value}'; accelerators are whole, 1 or more");
        }

        var stages = pipeline ?? hosts;
        var perHost = count ?? Math.Max(1, (int)Math.Ceiling((tensor ?? 1) * (double)stages / hosts));
        var shards = tensor ?? (count is null ? 1 : Math.Max(1, perHost * hosts / stages));
        if (count is not null && (long)shards * stages > (long)perHost * hosts)
        {
            fault("params", string.Create(CultureInfo.InvariantCulture, $"of flavor '{flavor.Name}' split the model over {shards} × {stages} accelerators (TP × PP); its limits give {perHost} on each of {hosts} (hosts)"));
        }

        return new AcceleratorSplit(written.Key ?? AcceleratorCatalog.Find(flavor.AcceleratorClass)?.Resource, perHost, hosts, shards, stages);
    }

    /// <summary>What a replica costs an hour by the list; null: it has no price for its class.</summary>
    public static double? ListPrice(Flavor flavor)
    {
        var split = Of(flavor, static (_, _) => { });
        return AcceleratorCatalog.Find(flavor.AcceleratorClass) is { ListPrice: { } price } known && known.Resource == split.Resource ? price * split.PerHost * split.Hosts : null;
    }

    private static int? Number(Flavor flavor, string name) => flavor.Params.TryGetValue(name, out var text) && int.TryParse(text, CultureInfo.InvariantCulture, out var number) && number is >= 1 and <= 1024 ? number : null;
}
