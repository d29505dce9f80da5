namespace Serverless.Gateway.Promises;

/// <summary>What became of turning a connection's promise into an id's.</summary>
internal enum Promotion
{
    /// <summary>An id promises it now.</summary>
    Promoted,

    /// <summary>It has ended meanwhile: its answer is there.</summary>
    Ended,

    /// <summary>A store or broker cannot be reached: the connection keeps it.</summary>
    Unavailable,
}
