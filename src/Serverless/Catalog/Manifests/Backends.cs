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

    private static readonly FlavorParam OfEveryFlavor = new(Price, 0, 1e6, Whole: false);

    private static readonly FlavorParam[] OfInProcess =
        [new("slots", 1, 256, Whole: true), new("kvTokens", 64, 1 << 24, Whole: true), new("threads", 1, 256, Whole: true), OfEveryFlavor];

    private static readonly FlavorParam[] OfSimulated =
    [
        new("slots", 1, 4096, Whole: true),
        new("kvTokens", 64, int.MaxValue, Whole: true),
        new("prefillTokensPerSecond", 0, 1e9, Whole: false),
        new("decodeTokensPerSecond", 0, 1e9, Whole: false),
        new("outputTokens", 1, 1 << 20, Whole: true),
        new("loadSeconds", 0, 86_400, Whole: false),
        new("failLoads", 0, int.MaxValue, Whole: true),
        new("failEvery", 0, int.MaxValue, Whole: true),
        new("crashEvery", 0, int.MaxValue, Whole: true),
        new("failAfterTokens", 0, int.MaxValue, Whole: true),
        OfEveryFlavor,
    ];

    private static readonly FlavorParam[] OfContainers = [new("TP", 1, 1024, Whole: true), new("PP", 1, 1024, Whole: true), new("INSTANCE-TYPE", null, null, Whole: false), new(Role, null, null, Whole: false) { Choices = ["both", "prefill", "decode"] }, OfEveryFlavor];

    public static bool InThisProcess(string backend) => backend is InProcess or Simulated;

    public static IReadOnlyList<FlavorParam> ParamsOf(string backend) => backend switch
    {
        InProcess => OfInProcess,
        Simulated => OfSimulated,
        _ => OfContainers,
    };
}
