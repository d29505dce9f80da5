namespace Serverless.Scaling.Planning;

/// <summary>A plan for all pools of a model, and what the next plan needs to remember.</summary>
/// <param name="Decisions">One for each pool, in flavor order.</param>
/// <param name="Memory">For the next plan.</param>
public sealed record ModelPlan(IReadOnlyList<ScaleDecision> Decisions, PlannerMemory Memory);
