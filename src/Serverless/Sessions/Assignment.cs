using Serverless.Requests;

namespace Serverless.Sessions;

/// <summary>A request handed to a worker, with its right to append and what there is to continue from.</summary>
/// <param name="Request">The request.</param>
/// <param name="Fence">The attempt's fence.</param>
/// <param name="LastSequence">The worker appends from the next one.</param>
/// <param name="Output">Chunks of earlier attempts; the worker continues after them and does not repeat them.</param>
public sealed record Assignment(InferenceRequest Request, Fence Fence, long LastSequence, IReadOnlyList<ChoiceChunk> Output);
