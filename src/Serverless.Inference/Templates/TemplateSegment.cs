namespace Serverless.Inference.Templates;

/// <summary>A stretch of a rendered prompt.</summary>
/// <param name="Text">The text.</param>
/// <param name="IsData">Whether it came from messages or tools: control tokens written out in it are a user's text, never tokens.</param>
public readonly record struct TemplateSegment(string Text, bool IsData);
