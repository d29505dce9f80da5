namespace Serverless.Inference.Templates;

/// <summary>A piece of a template's source.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">Its text: the content of a string, the name, the operator.</param>
/// <param name="Line">Where it is.</param>
internal readonly record struct TemplateToken(TokenKind Kind, string Text, int Line);
