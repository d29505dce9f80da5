namespace Serverless.EndToEndTests.Keda;

public sealed class KilledScalerTests(KedaCluster cluster) : OutageTests(cluster)
{
    [Fact]
    public Task One_of_two_scalers_is_killed_and_pools_hold() => HoldsAsync(Fault.Killed);
}
