namespace Serverless.EndToEndTests.Chaos;

/// <summary>How a client asks.</summary>
internal enum ChaosKind
{
    /// <summary>An answer in one piece.</summary>
    Whole,

    /// <summary>A stream, which is begun anew when it breaks.</summary>
    Stream,

    /// <summary>A stream, which is gone on with at another gateway when it breaks.</summary>
    ResumableStream,

    /// <summary>An answer by an id: at once, or after a second.</summary>
    Promised,

    /// <summary>An event, whose result is an event.</summary>
    Event,
}
