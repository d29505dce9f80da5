namespace Serverless.Requests;

/// <summary>An event and its place in its request's log.</summary>
/// <param name="Sequence">1, 2, 3 … without gaps.</param>
/// <param name="Event">The event.</param>
public readonly record struct LoggedEvent(long Sequence, RequestEvent Event);
