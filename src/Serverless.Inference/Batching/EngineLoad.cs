namespace Serverless.Inference.Batching;

/// <summary>What an engine does now. Immutable.</summary>
/// <param name="Running">Sequences in the batch.</param>
/// <param name="Waiting">Sequences that wait for a slot or for room in the KV cache.</param>
/// <param name="KvTokensUsed">Tokens of KV cache that sequences hold, in whole pages.</param>
/// <param name="KvTokensResting">Tokens of KV cache that no sequence holds, kept for those that begin alike.</param>
/// <param name="KvTokensCapacity">Tokens the KV cache holds.</param>
/// <param name="PrefillTokensPerSecond">Prompt tokens per second of the passes that held any, smoothed; 0 before the first.</param>
/// <param name="DecodeTokensPerSecond">Generated tokens per second of the passes that only decoded, smoothed; 0 before the first.</param>
/// <param name="LastStep">How long the last pass took.</param>
public sealed record EngineLoad(
    int Running, int Waiting, int KvTokensUsed, int KvTokensResting, int KvTokensCapacity, double PrefillTokensPerSecond, double DecodeTokensPerSecond, TimeSpan LastStep);
