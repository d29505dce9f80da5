using Serverless.Requests;

namespace Serverless.Engines;

/// <summary>What one step of an engine gave for a request.</summary>
/// <param name="Chunk">Output of one choice; null where the step only ends the request.</param>
/// <param name="Usage">Set on the last output: all choices have ended.</param>
public readonly record struct EngineOutput(ChoiceChunk? Chunk, TokenUsage? Usage);
