namespace Serverless.Requests;

/// <summary>What a model's queue holds: enqueued and neither completed nor dead-lettered, delivered or not.</summary>
/// <param name="Requests">How many requests.</param>
/// <param name="Tokens">Their <see cref="InferenceRequest.MaxTotalTokens"/>.</param>
/// <param name="Bytes">Their bodies.</param>
/// <param name="DeadLetters">Requests given up with a reason; of all models together where they share one queue for them.</param>
public readonly record struct QueueDepth(long Requests, long Tokens, long Bytes, long DeadLetters);
