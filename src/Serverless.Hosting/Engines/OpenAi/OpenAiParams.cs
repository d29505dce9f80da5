using Serverless.Catalog.Engines;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>What flavors may set of engines in processes of their own. A dialect takes those that its engine has a use for.</summary>
internal static class OpenAiParams
{
    public static FlavorParam Server { get; } = new("server", null, null, Whole: false, "the program to start, one for each replica: a path, or a name on the PATH ([engines.md](engines.md) says which)") { Chosen = "none" };

    public static FlavorParam Url { get; } = new("url", null, null, Whole: false, "an engine that runs already; keep `maxReplicas` at 1, for each replica takes all of its slots") { IsUrl = true, Chosen = "none" };

    public static FlavorParam Args { get; } = new("args", null, null, Whole: false, "further arguments of the started `server`, as a shell would split them at blanks and quotes") { Chosen = "none" };

    public static FlavorParam ServedName { get; } = new("servedName", null, null, Whole: false, "what the engine calls the model") { Chosen = "the model's name here, that of its source, or the only one that it has" };

    public static FlavorParam ApiKeyVariable { get; } = new("apiKeyVariable", null, null, Whole: false, "the environment variable of the worker that holds the key which the engine asks for") { Chosen = "none" };

    public static FlavorParam SilenceSeconds { get; } = new("silenceSeconds", 1, 3600, Whole: false, "how long it may have work and say nothing before it is taken for hung and begun again; five times the longest silence so far, where that is more") { Default = 60 };

    /// <summary>Its values: <see cref="ByDeadline"/>, and the engine's own way.</summary>
    public static FlavorParam Scheduling { get; } = new("scheduling", null, null, Whole: false, "the order in which the engine takes what waits in it: as it came, or by lane and deadline; a `url` must have been started for the second") { Choices = ["fcfs", ByDeadline], Chosen = "fcfs" };

    public const string ByDeadline = "priority";

    public static FlavorParam Slots(int usual) => new("slots", 1, 4096, Whole: true, "requests at once; a started `server` is told, of a `url` no more are asked") { Default = usual };
}
