namespace Serverless.Requests;

/// <summary>How the attempts of one request stand.</summary>
/// <param name="Count">Attempts begun.</param>
/// <param name="WithoutProgress">Attempts in a row before the last one that appended no chunk.</param>
/// <param name="Progressed">Whether the last one appended a chunk, or ended through no fault of the request.</param>
public readonly record struct LogAttempts(int Count, int WithoutProgress, bool Progressed);
