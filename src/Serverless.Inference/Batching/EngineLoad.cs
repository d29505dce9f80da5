namespace Serverless.Inference.Batching;

/// <summary>What an engine does now. Immutable.</summary>
/// <param name="Running">Sequences in the batch.</param>
/// <param name="Waiting">Sequences that wait for a slot or for room in the KV cache.</param>
/// <param name="KvTokensUsed">Tokens of KV cache that sequences hold, in whole pages.</param>
/// <param name="PrefillTokensPerSecond">Prompt tokens per second of the passes that held any, smoothed; 0 before the first.</param>
/// <param name="DecodeTokensPerSecond">Generated tokens per second of the passes that only decoded, smoothed; 0 before the first.</param>
public sealed record EngineLoad(int Running, int Waiting, int KvTokensUsed, double PrefillTokensPerSecond, double DecodeTokensPerSecond);
