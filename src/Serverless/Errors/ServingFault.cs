namespace Serverless.Errors;

/// <summary>One failure as a value: what kind, which field, and a sentence with value, limit and fix that the client may read.</summary>
/// <param name="Error">The kind.</param>
/// <param name="Message">A sentence for the client; never holds prompt text, keys or stack traces.</param>
/// <param name="Param">The request field at fault (<c>messages[0].role</c>), or null.</param>
/// <param name="Code">Overrides the table's OpenAI code where one kind has several; else null.</param>
/// <param name="RetryAfter">Overrides the table's delay where more is known; at most 60 s.</param>
public sealed record ServingFault(ServingError Error, string Message, string? Param = null, string? Code = null, TimeSpan? RetryAfter = null);
