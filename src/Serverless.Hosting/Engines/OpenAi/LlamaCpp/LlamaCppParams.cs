using Serverless.Catalog.Engines;

namespace Serverless.Hosting.Engines.OpenAi.LlamaCpp;

/// <summary>What flavors may set.</summary>
internal static class LlamaCppParams
{
    public static FlavorParam Server { get; } = new("server", null, null, Whole: false, "the `llama-server` to start, one for each replica: a path, or a name on the PATH") { Chosen = "none" };

    public static FlavorParam Url { get; } = new("url", null, null, Whole: false, "a `llama-server` that runs already, started with `--metrics` and of the same model file; keep `maxReplicas` at 1, for each replica takes all of its slots") { IsUrl = true, Chosen = "none" };

    public static FlavorParam Slots { get; } = new("slots", 1, 256, Whole: true, "requests at once of the started `server`; each has the whole `contextTokens`") { Default = 4 };

    public static FlavorParam Threads { get; } = new("threads", 1, 1024, Whole: true, "threads of the started `server`") { Chosen = "the engine's" };

    public static FlavorParam SilenceSeconds { get; } = new("silenceSeconds", 1, 3600, Whole: false, "how long it may have work and say nothing before it is taken for hung and begun again; five times the longest silence so far, where that is more") { Default = 60 };

    public static IReadOnlyList<FlavorParam> All { get; } = [Server, Url, Slots, Threads, SilenceSeconds];
}
