namespace Serverless.Catalog.Manifests;

/// <summary>Known engines, and the flavor params each takes.</summary>
internal static class Backends
{
    public const string InProcess = "in-process";
    public const string Simulated = "simulated";

    /// <summary>llmaz's default.</summary>
    public const string Default = "vllm";

    /// <summary>Recipes that run in containers.</summary>
    public static readonly string[] Containers = [Default, "sglang", "llamacpp", "tgi", "tensorrt-llm", "ollama"];

    /// <summary>Of every flavor: what a replica costs an hour.</summary>
    public const string Price = Flavor.PriceParam;

    /// <summary>Of engines that split a request over replicas: the part that this flavor's do.</summary>
    public const string Role = "role";

    /// <summary>Of every flavor, whatever runs it.</summary>
    public static readonly FlavorParam[] OfEveryFlavor = [new(Price, 0, 1e6, Whole: false, "what a replica costs an hour, in any one currency: between flavors the scaler then prefers the cheapest that meets the deadlines") { Chosen = "not known" }];

    /// <summary>Of engines that run in containers.</summary>
    public static readonly FlavorParam[] OfContainers =
    [
        new("TP", 1, 1024, Whole: true, "tensor parallel") { Chosen = "the engine's" },
        new("PP", 1, 1024, Whole: true, "pipeline parallel") { Chosen = "the engine's" },
        new("INSTANCE-TYPE", null, null, Whole: false, "of the node"),
        new(Role, null, null, Whole: false, "the part of a request that this flavor's replicas do; prefill and decode are scaled apart") { Choices = ["both", "prefill", "decode"], Chosen = "both" },
    ];

    /// <summary>Every table there is, as the docs name the engine.</summary>
    public static IReadOnlyList<(string Engine, IReadOnlyList<FlavorParam> Params)> Tables =>
        [($"`{InProcess}`", InProcessParams.All), ($"`{Simulated}`", SimulatedParams.All), ("containers", OfContainers), ("every engine", OfEveryFlavor)];

    public static bool InThisProcess(string backend) => backend is InProcess or Simulated;

    public static IReadOnlyList<FlavorParam> ParamsOf(string backend) =>
    [
        .. backend switch
        {
            InProcess => InProcessParams.All,
            Simulated => SimulatedParams.All,
            _ => OfContainers,
        },
        .. OfEveryFlavor,
    ];
}
