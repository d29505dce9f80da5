namespace Serverless.Requests;

/// <summary>The log's answer to a holder's going.</summary>
/// <param name="Ended">Whether the request is ended now, by this call or before.</param>
/// <param name="Holder">One that holds it where it has not ended, or whom the head names where an id promises it. Null if it ended or is unknown.</param>
public readonly record struct LapseResult(bool Ended, string? Holder);
