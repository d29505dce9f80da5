using Microsoft.Extensions.Hosting;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Serverless.Scaler.Keda;

/// <summary>Keeps what is served up to date: the plan, whoever makes it, and the demand behind it.</summary>
internal sealed class FollowingService(PlanFollower follower, BelievedDemand demand) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(follower.RunAsync(stoppingToken), demand.RunAsync(stoppingToken));
}
