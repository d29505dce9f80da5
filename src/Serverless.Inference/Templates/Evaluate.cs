namespace Serverless.Inference.Templates;

/// <summary>An expression, ready to be evaluated.</summary>
internal delegate object? Evaluate(TemplateScope scope);
