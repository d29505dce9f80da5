using Serverless.Hosting.Sessions;
using Serverless.Sessions;
using Serverless.Tests.Manifests;
using Shouldly;

namespace Serverless.Tests.Sessions;

/// <summary>What a worker says of itself is held against its pool.</summary>
public sealed class WorkerCheckTests
{
    [Theory]
    [InlineData("slots: 3000, kvTokens: 1000000000", 3000, 1_000_000_000, null)] // whatever a manifest may say, its own workers are taken
    [InlineData("slots: 3000, kvTokens: 1000000000", 6000, 2_000_000_000, null)] // engines round up
    [InlineData("slots: 4", 9, 64, "it says 9 slots; pool 'm-simulated' may have 8")]
    [InlineData("kvTokens: 1000", 1, 2001, "it says 2001 KV tokens; pool 'm-simulated' may have 2000")]
    [InlineData("loadSeconds: 1", 4097, 64, "it says 4097 slots; pool 'm-simulated' may have 4096")]
    [InlineData("loadSeconds: 1", 1, 100_000_001, "it says 100000001 KV tokens; pool 'm-simulated' may have 100000000")]
    public void A_worker_may_say_what_its_flavor_says_with_some_leeway(string parameters, int slots, long kvTokens, string? fault)
    {
        var catalog = ManifestText.Read(ManifestText.Simulated("m", $"inferenceConfig: {{flavors: [{{name: simulated, params: {{{parameters}}}}}]}}"), ManifestText.Playground("m")).Catalog.ShouldNotBeNull();
        var pool = catalog.Models.Single().Pools[0];

        WorkerCheck.Find(new WorkerDescription { Worker = "w", Pool = pool.Name, Model = pool.Model.Name, Engine = "simulated", Slots = slots, KvCapacityTokens = kvTokens }, catalog).ShouldBe(fault);
    }
}
