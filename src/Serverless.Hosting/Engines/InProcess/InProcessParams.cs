using Serverless.Catalog.Engines;

namespace Serverless.Hosting.Engines.InProcess;

/// <summary>The params of the in-process engine: manifests are checked by this table, the engine reads by it, and docs/manifests.md shows it.</summary>
internal static class InProcessParams
{
    /// <summary>Requests at once.</summary>
    public static FlavorParam Slots { get; } = new("slots", 1, 256, Whole: true, "requests at once") { Default = 16 };

    /// <summary>Tokens of KV cache.</summary>
    public static FlavorParam KvTokens { get; } = new(FlavorParam.KvTokens, 64, 1 << 24, Whole: true, "tokens of KV cache, prompts and answers that ended among them for those that begin alike; a request whose prompts together are as many is refused at the door") { Default = 16_384 };

    /// <summary>How the KV cache is kept.</summary>
    public static FlavorParam KvFormat { get; } = new("kvFormat", null, null, Whole: false, "how keys and values are kept: half floats, or bytes with scales, half as large and less exact") { Chosen = "f16", Choices = ["f16", "q8"] };

    /// <summary>Threads.</summary>
    public static FlavorParam Threads { get; } = new("threads", 1, 256, Whole: true, "most threads that compute; engines of a process that compute at the same time share its cores") { Chosen = "one per core" };

    /// <summary>All of them.</summary>
    public static IReadOnlyList<FlavorParam> All { get; } = [Slots, KvTokens, KvFormat, Threads];
}
