using System.Text.Json.Nodes;

namespace Serverless.Catalog.Manifests;

/// <summary>One document as it was written: an OpenModel, Playground, Service or BackendRuntime, from a file or a custom resource. Not changed once made.</summary>
/// <param name="Source">Where it is from, as errors name it: a file's path or an object's name.</param>
/// <param name="Document">Its place in the source, from 1.</param>
/// <param name="Content">The document.</param>
public sealed record Manifest(string Source, int Document, JsonObject Content)
{
    /// <summary>The folder that <c>host://./…</c> starts from; null where there is none.</summary>
    public string? Folder { get; init; }

    /// <summary>Lines in the source by field path (<see cref="FieldPath"/>), from 1; empty where there are none.</summary>
    public IReadOnlyDictionary<string, int> Lines { get; init; } = new Dictionary<string, int>();
}
