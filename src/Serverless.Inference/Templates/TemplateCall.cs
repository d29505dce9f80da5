namespace Serverless.Inference.Templates;

/// <summary>A function of a template: positional and named arguments to a value.</summary>
internal delegate object? TemplateCall(IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named);
