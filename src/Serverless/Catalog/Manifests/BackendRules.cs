namespace Serverless.Catalog.Manifests;

/// <summary>What each backend takes of the fields that depend on it.</summary>
internal static class BackendRules
{
    private static readonly string[] OfContainers = ["version", "envs", "configName", "args", "resources", "sharedMemorySize"];

    public static void Check(Deployment deployment, DeclaredModel declared, string backend)
    {
        CheckSource(declared, backend);
        foreach (var flavor in declared.Flavors) CheckFlavor(flavor, backend);
        if (!Backends.InThisProcess(backend)) deployment.Spec.Warn("backendRuntimeConfig", $"runs '{backend}' in containers, which this process does not start: the model is listed and its pools stay at zero");
        if (deployment.BackendConfig is not { } config) return;

        foreach (var field in OfContainers)
        {
            if (Backends.InThisProcess(backend)) config.Refuse(field, $"is of containers; the {backend} engine takes its settings from the params of the model's flavors");
            else config.WithoutEffect(field, "has no effect in a process that starts no containers");
        }
    }

    private static void CheckSource(DeclaredModel declared, string backend)
    {
        if (declared.Source is not { } source) return;
        if (backend == Backends.InProcess && source.Scheme != ModelSourceReader.Host) declared.Spec.Error("source", $"is {source.Scheme}; the in-process engine reads a file of this machine: download it and write uri: host:///path/model.gguf");
        if (backend != Backends.Simulated && source.Scheme == Backends.Simulated) declared.Spec.Error("source", $"has no weights, which '{backend}' needs; use backendName: simulated");
    }

    private static void CheckFlavor(DeclaredFlavor declared, string backend)
    {
        var (flavor, fields) = declared;
        var known = Backends.ParamsOf(backend);
        foreach (var (name, value) in flavor.Params)
        {
            var param = known.FirstOrDefault(param => param.Name == name);
            if (param is null) fields.Error("params", $"holds '{name}', which '{backend}' does not take; it takes {string.Join(", ", known.Select(param => param.Name))}");
            else if (param.Check(value) is { } fault) fields.Error("params", $"gives '{name}' the value '{value}'; it {fault}");
        }

        if (!Backends.InThisProcess(backend)) return;

        foreach (var (resource, _) in flavor.Limits)
        {
            if (backend == Backends.InProcess && resource == "cpu") continue;
            if (backend == Backends.InProcess && resource is not "memory") fields.Error("limits", $"asks for {resource}; the in-process engine runs on cpu");
            else fields.Warn("limits", $"of {resource} has no effect on the {backend} engine");
        }

        if (flavor.NodeSelector.Count > 0) fields.WithoutEffect("nodeSelector", "has no effect outside a cluster");
    }
}
