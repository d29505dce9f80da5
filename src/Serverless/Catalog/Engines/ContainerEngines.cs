namespace Serverless.Catalog.Engines;

/// <summary>Engines that run in containers: llmaz's recipes, and whatever a BackendRuntime names.</summary>
internal static class ContainerEngines
{
    /// <summary>Of engines that split a request over replicas: the part that this flavor's do.</summary>
    public const string Role = "role";

    private static readonly FlavorParam[] Params =
    [
        new("TP", 1, 1024, Whole: true, "tensor parallel") { Chosen = "the accelerators of a host, or what PP leaves" },
        new("PP", 1, 1024, Whole: true, "pipeline parallel") { Chosen = "`hosts`" },
        new("hosts", 1, 1024, Whole: true, "hosts of a replica; `limits` are of each") { Default = 1 },
        new("config", null, null, Whole: false, "which of the recipe's `recommendedConfigs`, over `configName` of the Playground") { Chosen = "the Playground's" },
        new("INSTANCE-TYPE", null, null, Whole: false, "of the node"),
        new(Role, null, null, Whole: false, "the part of a request that this flavor's replicas do; prefill and decode are scaled apart") { Choices = ["both", "prefill", "decode"], Chosen = "both" },
    ];

    /// <summary>llmaz's default.</summary>
    public static EngineDescriptor Default { get; } = Of("vllm");

    public static IReadOnlyList<EngineDescriptor> All { get; } = [Default, .. new[] { "sglang", "llamacpp", "tgi", "tensorrt-llm", "ollama" }.Select(Of)];

    public static EngineDescriptor Of(string name) => new() { Name = name, Params = Params, InThisProcess = false };
}
