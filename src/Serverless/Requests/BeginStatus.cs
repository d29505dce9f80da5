namespace Serverless.Requests;

/// <summary>Whether an attempt may begin.</summary>
public enum BeginStatus
{
    /// <summary>It may; older attempts are fenced off.</summary>
    Begun,

    /// <summary>The request has ended: complete what is missing of its end and acknowledge it.</summary>
    Ended,

    /// <summary>Another dispatcher holds the model with a higher epoch.</summary>
    StaleEpoch,

    /// <summary>No such log: its holder never opened it, or the store lost it. The holder submits again.</summary>
    Unknown,

    /// <summary>Only of an adoption: a newer attempt than the one asked for has begun.</summary>
    Superseded,
}
