using Serverless.Errors;
using Serverless.Leases;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>A model that the catalogue has no longer: what runs ends, what waits is told so, and the model is nobody's.</summary>
public sealed class RetiredModelTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_waits_ends_with_model_not_found_and_not_with_its_deadline()
    {
        await using var scene = new DispatcherScene();
        var waiting = await scene.SubmitAsync();
        await scene.DemandAsync(demand => demand.PendingRequests == 1);

        scene.Catalog.Current = TestCatalog.CatalogOf();
        var end = (await scene.MeanwhileAsync(scene.EndOfAsync(waiting))).ShouldBeOfType<RequestEvent.Failed>();

        end.Fault.Error.ShouldBe(ServingError.ModelNotFound);
        end.Fault.Message.ShouldContain("taken out of service");
        (waiting.Deadline - scene.Time.GetUtcNow()).TotalSeconds.ShouldBeGreaterThan(60);
        await scene.QueueHoldsAsync(0);
    }

    [Fact]
    public async Task What_runs_ends_as_it_would_have_and_what_comes_late_is_refused()
    {
        await using var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync();
        await scene.SubmitAsync();
        var assignment = await worker.AssignedAsync();

        scene.Catalog.Current = TestCatalog.CatalogOf();
        await scene.PassAsync(3);
        await worker.SayAsync(new WorkerMessage.Draining()); // as the scaler takes the pool to zero
        await worker.HearAsync<DispatcherMessage.Drain>();
        var late = await scene.SubmitAsync(); // a gateway that has not heard of it yet
        (await scene.MeanwhileAsync(scene.EndOfAsync(late))).ShouldBeOfType<RequestEvent.Failed>().Fault.Error.ShouldBe(ServingError.ModelNotFound);
        await worker.AppendAsync(assignment, 2);
        await worker.FinishAsync(assignment, appended: 2);

        (await scene.EndOfAsync(assignment.Request)).ShouldBeOfType<RequestEvent.Finished>();
        await scene.QueueHoldsAsync(0);
        await worker.DieAsync();
        var left = scene.Time.GetUtcNow();
        await scene.MeanwhileAsync(scene.GaveUpAsync());
        (scene.Time.GetUtcNow() - left).ShouldBeLessThanOrEqualTo(TimeSpan.FromSeconds(60));
        (await LeaseAsync(scene)).ShouldBeNull("the model is nobody's");
    }

    [Fact]
    public async Task A_model_that_comes_back_before_its_dispatcher_ended_is_served_on()
    {
        await using var scene = new DispatcherScene();
        var worker = await scene.ConnectAsync();
        await scene.SubmitAsync();
        var first = await worker.AssignedAsync();
        var there = scene.Catalog.Current;
        scene.Catalog.Current = TestCatalog.CatalogOf();
        await scene.PassAsync(2);

        scene.Catalog.Current = there;
        await scene.PassAsync(2);
        await scene.SubmitAsync();

        var second = await worker.AssignedAsync();
        await worker.FinishAsync(first);
        await worker.FinishAsync(second);
        (await scene.EndOfAsync(second.Request)).ShouldBeOfType<RequestEvent.Finished>();
    }

    private static ValueTask<Lease?> LeaseAsync(DispatcherScene scene) => scene.Leases.ReadAsync(LeaseNames.Dispatcher(TestRequests.Model), Token);
}
