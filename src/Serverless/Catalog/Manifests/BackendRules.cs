using Serverless.Catalog.Engines;
using Serverless.Catalog.Recipes;

namespace Serverless.Catalog.Manifests;

/// <summary>What each backend takes of the fields that depend on it.</summary>
internal static class BackendRules
{
    private static readonly string[] OfContainers = ["version", "envs", "configName", "args", "resources", "sharedMemorySize"];

    /// <summary>The param by which a flavor has its engine started here.</summary>
    private const string Server = "server";

    public static void Check(Deployment deployment, DeclaredModel declared, EngineDescriptor engine, EngineTable engines)
    {
        CheckSource(declared, engine, engines);
        CheckReplicas(deployment, engine);
        foreach (var flavor in declared.Flavors) CheckFlavor(flavor, engine);
        if (!engine.InThisProcess) deployment.Spec.Warn("backendRuntimeConfig", $"runs '{engine.Name}' in containers, which this process does not start: the model is listed and its pools stay at zero");
        if (deployment.BackendConfig is not { } config) return;

        if (!engine.InThisProcess) return;

        // A program that is started here is given both; what runs at a URL was given them by whoever started it.
        var started = engine.HereWith.Count > 0 && declared.Flavors.Any(flavor => flavor.Flavor.Params.ContainsKey(Server));
        foreach (var field in OfContainers.Where(field => !started || field is not ("args" or "envs"))) config.Refuse(field, $"is of containers; the {engine.Name} engine takes its settings from the params of the model's flavors");
        if (!started) return;

        var faults = new List<RecipeFault>();
        RecipeRenderer.ArgsHere(deployment.Runtime, declared.Name, "", faults);
        foreach (var fault in faults) deployment.Spec.Error(fault.Field, fault.Message);
        if (deployment.Runtime.Envs.FirstOrDefault(env => env.From is not null) is { } elsewhere) config.Error("envs", $"takes '{elsewhere.Name}' from elsewhere (valueFrom), which is of containers; a started server has the worker's environment");
    }

    private static void CheckSource(DeclaredModel declared, EngineDescriptor engine, EngineTable engines)
    {
        if (declared.Source is not { } source) return;
        if (engine.ReadsFile && source.Scheme != ModelSource.FileScheme && !source.IsPulled) declared.Spec.Error("source", $"is {source.Scheme}, which has no files; the {engine.Name} engine reads a model's files: write a uri such as host:///path/model.gguf or hf://org/name/model.gguf");
        if (engines.OfScheme(source.Scheme) is { ReadsFile: false } owner && owner.Name != engine.Name) declared.Spec.Error("source", $"has no weights, which '{engine.Name}' needs; use backendName: {owner.Name}");
    }

    /// <summary>What runs in this process has one replica unless more are asked for: a second one takes no cores along. A fleet's bound is its owner's to say.</summary>
    private static void CheckReplicas(Deployment deployment, EngineDescriptor engine)
    {
        if (deployment.Elastic is { } elastic && !elastic.Has("maxReplicas") && !engine.InThisProcess) elastic.Error("maxReplicas", "is missing; it bounds the replicas");
    }

    private static void CheckFlavor(DeclaredFlavor declared, EngineDescriptor engine)
    {
        var (flavor, fields) = declared;
        var known = engine.AllParams;
        foreach (var (name, value) in flavor.Params)
        {
            var param = known.FirstOrDefault(param => param.Name == name);
            if (param is null) fields.Error("params", $"holds '{name}', which '{engine.Name}' does not take; it takes {string.Join(", ", known.Select(param => param.Name))}");
            else if (param.Check(value) is { } fault) fields.Error("params", $"gives '{name}' the value '{value}'; it {fault}");
        }

        if (!engine.InThisProcess) return;

        var ways = engine.HereWith.Where(flavor.Params.ContainsKey).ToArray();
        if (engine.HereWith.Count > 0 && ways.Length != 1) fields.Error("params", $"of flavor '{flavor.Name}' name {(ways.Length == 0 ? "none" : "more than one")} of {string.Join(" and ", engine.HereWith)}; the {engine.Name} engine needs one of them");

        foreach (var (resource, _) in flavor.Limits)
        {
            if (engine.Resources?.Contains(resource) == true) continue;
            if (engine.Resources is { } runsOn && resource is not "memory") fields.Error("limits", $"asks for {resource}; the {engine.Name} engine runs on {string.Join(", ", runsOn)}");
            else fields.Warn("limits", $"of {resource} has no effect on the {engine.Name} engine");
        }

        if (flavor.NodeSelector.Count > 0) fields.WithoutEffect("nodeSelector", "has no effect outside a cluster");
    }
}
