namespace Serverless.Engines;

/// <summary>An engine did not finish what it began, or takes nothing now: another attempt goes on after a pause. The message says why, as the rest of a sentence.</summary>
/// <param name="message">Why.</param>
/// <param name="isBusy">Whether it is the engine alone, which is full, loading or stopping, and never the request: however often it happens, nothing is held against that.</param>
/// <param name="inner">What it came of.</param>
public sealed class EngineGaveUpException(string message, bool isBusy, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Whether the engine takes nothing now; else it broke off, which the request may be the cause of.</summary>
    public bool IsBusy { get; } = isBusy;
}
