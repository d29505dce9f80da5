using Serverless.Catalog;
using Serverless.Scaling.Planning;

namespace Serverless.Hosting.Redis.Feeds;

/// <summary>The newest decisions of a pool, oldest first, as a scaler publishes them.</summary>
internal sealed record DecisionHistory(PoolName Pool, IReadOnlyList<ScaleDecision> Decisions);
