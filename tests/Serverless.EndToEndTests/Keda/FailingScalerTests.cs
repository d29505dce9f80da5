namespace Serverless.EndToEndTests.Keda;

public sealed class FailingScalerTests(KedaCluster cluster) : OutageTests(cluster)
{
    [Fact]
    public Task One_of_two_scalers_fails_and_pools_hold() => HoldsAsync(Fault.Failing);
}
