namespace Serverless.Requests;

/// <summary>Priority class of a request; a lower value is served first.</summary>
public enum Lane
{
    /// <summary>A person waits and pays for it (<c>service_tier: priority</c>).</summary>
    Realtime = 0,

    /// <summary>A connection waits.</summary>
    Interactive = 1,

    /// <summary>Nobody waits: takes what the others leave (<c>service_tier: flex</c>, batch lines).</summary>
    Batch = 2,
}
