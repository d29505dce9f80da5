namespace Serverless.Requests;

/// <summary>The log's answer to a new holder of a request's promise.</summary>
public enum HoldResult
{
    /// <summary>The head names the new promise and holder.</summary>
    Held,

    /// <summary>The request has ended: read its end instead.</summary>
    Ended,

    /// <summary>No such log.</summary>
    Unknown,
}
