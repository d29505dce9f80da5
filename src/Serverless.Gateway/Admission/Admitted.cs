using Serverless.Catalog;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Admission;

/// <summary>An admitted request: what goes down, and how its answer looks.</summary>
/// <param name="Request">For the queue.</param>
/// <param name="Model">Its model.</param>
/// <param name="Shape">For the renderer.</param>
/// <param name="Preferences">What its client would like.</param>
/// <param name="IdempotencyKey">Under which name its client may ask for it again, or null.</param>
internal sealed record Admitted(InferenceRequest Request, Model Model, AnswerShape Shape, Preferences Preferences, string? IdempotencyKey);
