namespace Serverless.Dispatching;

/// <summary>What the log knew of a request when it was delivered.</summary>
internal enum Acceptance
{
    /// <summary>Nobody had it before.</summary>
    New,

    /// <summary>A dispatcher had it before: it may run somewhere.</summary>
    Known,

    /// <summary>It has ended.</summary>
    Ended,

    /// <summary>Nothing: its holder never opened the log, or the store lost it.</summary>
    Unknown,
}
