namespace Serverless.Catalog.Accelerators;

/// <summary>An accelerator class that is known by its name: what a flavor of it gets where its manifest does not say.</summary>
/// <param name="Name">As flavors name it.</param>
/// <param name="Vendor">Who makes it.</param>
/// <param name="Product">The words of the device's own name by which this machine's are told.</param>
/// <param name="Resource">What its device plugin calls one in Kubernetes.</param>
/// <param name="Images">The family of images that run on it (<see cref="ImageFamily"/>).</param>
public sealed record Accelerator(string Name, string Vendor, string Product, string Resource, string Images)
{
    /// <summary>Memory of one, in GiB as its vendor counts it; null: that of the machine.</summary>
    public int? MemoryGiB { get; init; }

    /// <summary>Dollars an hour for one, as <see cref="AcceleratorCatalog.PricesFrom"/> lists it; null: not listed there.</summary>
    public double? ListPrice { get; init; }

    /// <summary>Labels of the nodes that have it, as its vendor's node labeller or its cloud writes them; empty: whatever has the resource.</summary>
    public IReadOnlyDictionary<string, string> NodeSelector { get; init; } = new Dictionary<string, string>();

    /// <summary>Other names that flavors have for it.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];
}
