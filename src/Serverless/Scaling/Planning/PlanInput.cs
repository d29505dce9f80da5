using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;

namespace Serverless.Scaling.Planning;

/// <summary>What a model's plan is made from.</summary>
/// <param name="Model">The model.</param>
/// <param name="Demand">Its latest demand; null when nobody has spoken.</param>
/// <param name="Capacity">The state of its pools, in flavor order.</param>
/// <param name="Memory">The last plan's memory.</param>
internal sealed record PlanInput(Model Model, ModelDemand? Demand, PoolCapacity[] Capacity, PlannerMemory Memory);
