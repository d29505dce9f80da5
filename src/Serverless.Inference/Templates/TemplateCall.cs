namespace Serverless.Inference.Templates;

/// <summary>A function of a template: positional and named arguments to a value, paid for by the rendering that calls it.</summary>
internal delegate object? TemplateCall(TemplateBudget budget, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named);
