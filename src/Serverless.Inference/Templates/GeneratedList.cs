namespace Serverless.Inference.Templates;

/// <summary>What Jinja would give as a generator: it can be gone over, and not be written as JSON.</summary>
internal sealed class GeneratedList(IEnumerable<object?> items) : List<object?>(items);
