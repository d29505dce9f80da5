namespace Serverless.Requests;

/// <summary>The log's answer to ending a request whose holder is gone.</summary>
/// <param name="Ended">Whether the request is ended now, by this call or before.</param>
/// <param name="Holder">Who holds it when it was not ended: another holder took it meanwhile, or its promise is an id. Null if it ended or is unknown.</param>
public readonly record struct LapseResult(bool Ended, string? Holder);
