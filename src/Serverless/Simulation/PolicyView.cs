using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Scaling.Capacity;

namespace Serverless.Simulation;

/// <summary>What a policy can see of a pool at one moment: the gauges that its real counterpart scrapes, and for ours demand and capacity.</summary>
/// <param name="Now">Seconds since the replay began.</param>
/// <param name="Desired">Replicas asked for last.</param>
/// <param name="Ready">Replicas that take work.</param>
/// <param name="WaitingRequests">Requests in no engine (<c>vllm:num_requests_waiting</c>, a gateway's queue).</param>
/// <param name="RunningRequests">Requests in engines (<c>vllm:num_requests_running</c>).</param>
/// <param name="PromptTokensNotPrefilled">Prompt tokens that wait or are in an engine and not prefilled yet.</param>
/// <param name="KvUsed">KV-cache usage summed over ready replicas, each 0 to 1.</param>
/// <param name="Demand">What a dispatcher publishes.</param>
/// <param name="Capacity">What is published of the pool.</param>
/// <param name="Model">The model, with its one pool.</param>
public readonly record struct PolicyView(
    double Now, int Desired, int Ready, int WaitingRequests, int RunningRequests, long PromptTokensNotPrefilled, double KvUsed, ModelDemand Demand, PoolCapacity Capacity, Model Model)
{
    /// <summary>Whether anything is asked for.</summary>
    public bool HasWork => WaitingRequests > 0 || RunningRequests > 0;
}
