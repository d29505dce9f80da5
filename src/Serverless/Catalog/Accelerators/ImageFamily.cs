namespace Serverless.Catalog.Accelerators;

/// <summary>What an engine's images are built for. A recipe for another family than <see cref="Cuda"/> is named after it: <c>vllm-rocm</c>.</summary>
public static class ImageFamily
{
    /// <summary>NVIDIA.</summary>
    public const string Cuda = "cuda";

    /// <summary>AMD.</summary>
    public const string Rocm = "rocm";

    /// <summary>Intel's GPUs.</summary>
    public const string Xpu = "xpu";

    /// <summary>Intel Gaudi.</summary>
    public const string Gaudi = "gaudi";

    /// <summary>Huawei Ascend.</summary>
    public const string Ascend = "ascend";

    /// <summary>Google's TPUs.</summary>
    public const string Tpu = "tpu";

    /// <summary>AWS Inferentia and Trainium.</summary>
    public const string Neuron = "neuron";

    /// <summary>No accelerator.</summary>
    public const string Cpu = "cpu";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<string> All { get; } = [Cuda, Rocm, Xpu, Gaudi, Ascend, Tpu, Neuron, Cpu];

    /// <summary>By the resource that a flavor asks for, also of a class that is not known; null: none of these.</summary>
    public static string? OfResource(string resource)
    {
        ArgumentNullException.ThrowIfNull(resource);
        return resource switch
        {
            "cpu" => Cpu,
            "aws.amazon.com/neuron" or "aws.amazon.com/neuroncore" => Neuron,
            "google.com/tpu" => Tpu,
            "habana.ai/gaudi" => Gaudi,
            _ when resource.StartsWith("nvidia.com/", StringComparison.Ordinal) => Cuda, // a slice of one (mig-1g.5gb) too
            _ when resource.StartsWith("amd.com/", StringComparison.Ordinal) => Rocm,
            _ when resource.StartsWith("gpu.intel.com/", StringComparison.Ordinal) => Xpu,
            _ when resource.StartsWith("huawei.com/", StringComparison.Ordinal) => Ascend,
            _ => null,
        };
    }
}
