namespace Serverless.Catalog.Manifests;

/// <summary>Port: reads what a model's file says of it, so that a manifest need not repeat it and a file that cannot be served is refused at once.</summary>
public interface IModelInspector
{
    /// <summary>Inspects the file at <paramref name="path"/>. On failure <paramref name="fault"/> is a sentence that says why it cannot be served.</summary>
    ModelFacts? Inspect(string path, out string? fault);

    /// <summary>What is known of a model that is pulled, where its files are here already; null where they are not. The same as long as the process runs, so that a pull that is done rolls no pool.</summary>
    ModelFacts? Known(ModelSource source) => null;
}
