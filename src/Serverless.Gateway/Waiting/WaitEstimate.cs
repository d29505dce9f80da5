namespace Serverless.Gateway.Waiting;

/// <summary>What a request waits for, as far as it can be told.</summary>
/// <param name="TokensAhead">Tokens of pending work that is served before it.</param>
/// <param name="Expected">How long until it is taken up; null where nothing honest can be said.</param>
/// <param name="Soonest">It is not taken up before that, even if every replica that may be started is; zero where nothing is known.</param>
internal readonly record struct WaitEstimate(long TokensAhead, TimeSpan? Expected, TimeSpan Soonest);
