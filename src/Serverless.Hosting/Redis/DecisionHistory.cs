using Serverless.Catalog;
using Serverless.Scaling;

namespace Serverless.Hosting.Redis;

/// <summary>The newest decisions of a pool, oldest first, as a scaler publishes them.</summary>
internal sealed record DecisionHistory(PoolName Pool, IReadOnlyList<ScaleDecision> Decisions);
