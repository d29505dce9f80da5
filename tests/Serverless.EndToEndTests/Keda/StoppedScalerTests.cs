namespace Serverless.EndToEndTests.Keda;

public sealed class StoppedScalerTests(KedaCluster cluster) : OutageTests(cluster)
{
    [Fact]
    public Task One_of_two_scalers_is_stopped_and_pools_hold() => HoldsAsync(Fault.Stopped);
}
