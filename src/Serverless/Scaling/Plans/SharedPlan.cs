using Serverless.Catalog;
using Serverless.Scaling.Planning;

namespace Serverless.Scaling.Plans;

/// <summary>The plan of one model as all scalers serve it. Immutable.</summary>
/// <param name="Model">Whose.</param>
/// <param name="Decisions">One for each pool, in flavor order.</param>
/// <param name="Memory">For the next plan, whoever makes it.</param>
/// <param name="Mean">What a request of the model asks for on average.</param>
public sealed record SharedPlan(ModelName Model, IReadOnlyList<ScaleDecision> Decisions, PlannerMemory Memory, RequestMean Mean);
