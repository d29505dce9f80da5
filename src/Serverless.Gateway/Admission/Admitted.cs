using Serverless.Catalog;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Admission;

/// <summary>An admitted request: what goes down, and how its answer looks.</summary>
/// <param name="Request">For the queue.</param>
/// <param name="Model">Its model.</param>
/// <param name="Shape">For the renderer.</param>
internal sealed record Admitted(InferenceRequest Request, Model Model, AnswerShape Shape);
