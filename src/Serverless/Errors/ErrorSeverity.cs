namespace Serverless.Errors;

/// <summary>How loudly an error is logged, once, where it is handled.</summary>
public enum ErrorSeverity
{
    /// <summary>The client's own doing: nobody is woken.</summary>
    Debug,

    /// <summary>Expected under load.</summary>
    Information,

    /// <summary>Degraded, heals by itself.</summary>
    Warning,

    /// <summary>A request or a promise was lost to a fault of ours.</summary>
    Error,
}
