namespace Serverless.EndToEndTests.Keda;

public sealed class HungScalerTests(KedaCluster cluster) : OutageTests(cluster)
{
    [Fact]
    public Task One_of_two_scalers_hangs_and_pools_hold() => HoldsAsync(Fault.Hung);
}
