using Serverless.Catalog;
using Serverless.Gateway.Waiting;
using Serverless.Hosting.Engines.InProcess;
using Serverless.Hosting.Engines.Simulated;
using Serverless.Hosting.Manifests;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Tests.Scaling;
using Shouldly;

namespace Serverless.Tests.Catalog;

/// <summary>How long a load takes before one was measured: what the engine reckons by the model's file, not a figure for all.</summary>
public sealed class FirstLoadTests
{
    private static readonly Flavor Cpu = new() { Name = "cpu", AcceleratorClass = "cpu" };

    [Theory]
    [InlineData(0L, 1)]
    [InlineData(50_000_000L, 1)]
    [InlineData(1_500_000_000L, 15)]
    [InlineData(8_000_000_000L, 80)]
    [InlineData(1_000_000_000_000L, 600)]
    public void The_in_process_engine_reckons_by_the_bytes_of_the_file_within_bounds(long bytes, double seconds) =>
        InProcessEngineFactory.Described.FirstLoad(Cpu, bytes).ShouldBe(TimeSpan.FromSeconds(seconds));

    [Fact]
    public void An_engine_that_cannot_tell_says_nothing()
    {
        InProcessEngineFactory.Described.FirstLoad(Cpu, null).ShouldBeNull();
        TestEngines.Table.Of("vllm").FirstLoad(Cpu, 1 << 30).ShouldBeNull();
    }

    [Theory]
    [InlineData("7.5", 7.5)]
    [InlineData("soon", 0)]
    [InlineData(null, 0)]
    public void The_simulated_engine_takes_what_its_flavor_says(string? given, double seconds) =>
        SimulatedEngineFactory.Described.FirstLoad(Cpu with { Params = given is null ? new Dictionary<string, string>() : new Dictionary<string, string> { ["loadSeconds"] = given } }, null).ShouldBe(TimeSpan.FromSeconds(seconds));

    [Fact]
    public void The_shipped_model_is_reckoned_by_its_own_file()
    {
        var model = new FileCatalogSource(Path.Combine(Repository.Root, "models"), TestEngines.Table).Current.Models.Single();

        model.Flavors.Single().FirstLoad.ShouldBe(InProcessEngineFactory.Described.FirstLoad(Cpu, new FileInfo(Repository.ModelPath).Length));
        model.Scaling.MaxReplicas.ShouldBe(1);
    }

    /// <summary>The wait that is shown, and told in Retry-After: the engine's reckoning before the first load, the load itself from then on.</summary>
    [Theory]
    [InlineData(90.0, null, 90)]
    [InlineData(90.0, 12.0, 12)]
    [InlineData(null, null, 30)]
    public void A_wait_is_told_by_the_reckoned_load_until_one_was_measured(double? reckoned, double? measured, double expected)
    {
        var model = PlannerScene.Model() with { Flavors = [Cpu with { FirstLoad = reckoned is { } first ? TimeSpan.FromSeconds(first) : null }] };
        var pool = new PoolCapacity { Pool = PlannerScene.PoolOfModel, LastColdStartSeconds = measured };

        WaitEstimator.Estimate(model, null, [pool], new FairPlace(Lane.Interactive, null), new WaitOptions(), PlannerScene.Start).Expected.ShouldBe(TimeSpan.FromSeconds(expected));
    }

    [Fact]
    public void The_planner_reckons_with_it_too_until_a_load_was_measured()
    {
        var model = PlannerScene.Model() with { Flavors = [Cpu with { FirstLoad = TimeSpan.FromSeconds(90) }] };

        Inputs(new PoolCapacity { Pool = PlannerScene.PoolOfModel }).ColdStartSeconds.ShouldBe(90);
        Inputs(new PoolCapacity { Pool = PlannerScene.PoolOfModel, LastColdStartSeconds = 4 }).ColdStartSeconds.ShouldBe(4);

        DecisionInputs Inputs(PoolCapacity pool) => PlannerScene.Plan(PlannerScene.Backlog(1), pool, model: model).Decisions[0].Inputs!;
    }
}
