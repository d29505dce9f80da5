using MassTransit;
using Serverless.Hosting.Telemetry;

namespace Serverless.Hosting.MassTransit;

/// <summary>The bus as readiness and metrics ask for it.</summary>
internal sealed class BusDependency(IBusControl bus) : IDependency
{
    public string Name => "masstransit";

    public ValueTask<string?> FindFaultAsync(CancellationToken cancellationToken) =>
        new(bus.CheckHealth().Status == BusHealthStatus.Healthy ? null : "has no connection to its broker, or a queue of it cannot be consumed");
}
