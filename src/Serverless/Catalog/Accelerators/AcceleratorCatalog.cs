using System.Collections.Frozen;

namespace Serverless.Catalog.Accelerators;

/// <summary>The accelerator classes that are known. A flavor may be of any other: it gets no defaults then.</summary>
public static class AcceleratorCatalog
{
    /// <summary>Where the list prices are from: one list, so that they compare. What it does not have has none.</summary>
    public const string PricesFrom = "docs.runpod.io/serverless/pricing, flex workers, 2026";

    private const string NvidiaLabel = "nvidia.com/gpu.product";
    private const string AmdLabel = "amd.com/gpu.device-id";
    private const string TpuLabel = "cloud.google.com/gke-tpu-accelerator";

    /// <summary>All, by vendor.</summary>
    public static IReadOnlyList<Accelerator> All { get; } =
    [
        Nvidia("t4", "T4", 16, "Tesla-T4"),
        Nvidia("l4", "L4", 24, "NVIDIA-L4", 0.68),
        Nvidia("l40s", "L40S", 48, "NVIDIA-L40S", 1.91),
        Nvidia("a10", "A10", 24, "NVIDIA-A10"),
        Nvidia("a10g", "A10G", 24, "NVIDIA-A10G"),
        Nvidia("a40", "A40", 48, "NVIDIA-A40", 1.22),
        Nvidia("a100-40gb", "A100", 40, "NVIDIA-A100-SXM4-40GB"),
        Nvidia("a100-80gb", "A100", 80, "NVIDIA-A100-SXM4-80GB", 2.74),
        Nvidia("h100", "H100", 80, "NVIDIA-H100-80GB-HBM3", 4.18, "h100-80gb"),
        Nvidia("h200", "H200", 141, "NVIDIA-H200", 5.58),
        Nvidia("b200", "B200", 180, "NVIDIA-B200", 8.64),
        Nvidia("rtx-3090", "RTX 3090", 24, "NVIDIA-GeForce-RTX-3090", 0.68, "3090"),
        Nvidia("rtx-4090", "RTX 4090", 24, "NVIDIA-GeForce-RTX-4090", 1.12, "4090"),
        Nvidia("rtx-5090", "RTX 5090", 32, "NVIDIA-GeForce-RTX-5090", null, "5090"),
        Amd("mi210", "MI210", 64, "740f"),
        Amd("mi300x", "MI300X", 192, "74a1"),
        Amd("mi325x", "MI325X", 256, "74a5"),
        Amd("mi355x", "MI355X", 288, "75a3"),
        new("gaudi2", "Intel", "Gaudi 2", "habana.ai/gaudi", ImageFamily.Gaudi) { MemoryGiB = 96 },
        new("gaudi3", "Intel", "Gaudi 3", "habana.ai/gaudi", ImageFamily.Gaudi) { MemoryGiB = 128 },
        new("max-1100", "Intel", "Max 1100", "gpu.intel.com/i915", ImageFamily.Xpu) { MemoryGiB = 48 },
        new("max-1550", "Intel", "Max 1550", "gpu.intel.com/i915", ImageFamily.Xpu) { MemoryGiB = 128 },
        new("ascend-910b", "Huawei", "910B", "huawei.com/Ascend910", ImageFamily.Ascend) { MemoryGiB = 64, NodeSelector = Label("accelerator", "huawei-Ascend910"), Aliases = ["910b"] },
        Tpu("tpu-v5e", "v5e", 16, "tpu-v5-lite-podslice"),
        Tpu("tpu-v5p", "v5p", 95, "tpu-v5p-slice"),
        Tpu("tpu-v6e", "v6e", 32, "tpu-v6e-slice"),
        new("inferentia2", "AWS", "Inferentia2", "aws.amazon.com/neuron", ImageFamily.Neuron) { MemoryGiB = 32, Aliases = ["inf2"] },
        new("trainium2", "AWS", "Trainium2", "aws.amazon.com/neuron", ImageFamily.Neuron) { MemoryGiB = 96, Aliases = ["trn2"] },
        new("cpu", "any", "CPU", "cpu", ImageFamily.Cpu),
    ];

    private static readonly FrozenDictionary<string, Accelerator> ByName = All.SelectMany(one => one.Aliases.Prepend(one.Name).Select(name => (name, one))).ToFrozenDictionary(entry => entry.name, entry => entry.one, StringComparer.Ordinal);

    /// <summary>The class of that name, or null.</summary>
    public static Accelerator? Find(string name) => ByName.GetValueOrDefault(name);

    /// <summary>The class of a device of this vendor by what it calls itself (<c>NVIDIA A100-SXM4-80GB</c>), and by its memory where one name has several; null: none that is known, or not told which.</summary>
    public static Accelerator? OfDevice(string vendor, string device, long? memoryMiB = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        var words = device.Split([' ', '-'], StringSplitOptions.RemoveEmptyEntries).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var alike = All.Where(one => one.Vendor == vendor && one.Product.Split(' ').All(words.Contains)).ToList();
        var gib = memoryMiB / 1024.0 ?? words.Select(word => word.EndsWith("GB", StringComparison.OrdinalIgnoreCase) && int.TryParse(word[..^2], out var size) ? size : (double?)null).FirstOrDefault(size => size is not null);
        return gib is null ? alike.Count == 1 ? alike[0] : null : alike.Where(one => Math.Abs(one.MemoryGiB!.Value - gib.Value) <= 0.15 * one.MemoryGiB.Value).MinBy(one => Math.Abs(one.MemoryGiB!.Value - gib.Value));
    }

    private static Accelerator Nvidia(string name, string product, int memory, string label, double? price = null, params string[] aliases) =>
        new(name, "NVIDIA", product, "nvidia.com/gpu", ImageFamily.Cuda) { MemoryGiB = memory, NodeSelector = Label(NvidiaLabel, label), ListPrice = price, Aliases = aliases };

    private static Accelerator Amd(string name, string product, int memory, string device) => new(name, "AMD", product, "amd.com/gpu", ImageFamily.Rocm) { MemoryGiB = memory, NodeSelector = Label(AmdLabel, device) };

    private static Accelerator Tpu(string name, string product, int memory, string label) => new(name, "Google", product, "google.com/tpu", ImageFamily.Tpu) { MemoryGiB = memory, NodeSelector = Label(TpuLabel, label) };

    private static Dictionary<string, string> Label(string name, string value) => new(StringComparer.Ordinal) { [name] = value };
}
