using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Hosting.RabbitMq.Queues;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.RabbitMq;

public sealed class EnqueueBoundsTests
{
    private readonly TestClock _time = new(TestRequests.Deadline.AddMinutes(-10));
    private readonly MemoryDemandFeed _demand = new();

    [Fact]
    public void What_this_process_enqueued_counts_until_the_dispatcher_counts_it()
    {
        var bounds = Bounds(new QueueLimits { MaxRequests = 2 });
        bounds.Admit(TestRequests.New()).ShouldBeNull();
        bounds.Admit(TestRequests.New()).ShouldBeNull();
        bounds.Admit(TestRequests.New()).ShouldNotBeNull().Error.ShouldBe(ServingError.QueueFull);

        Publish(pending: 0); // too early to have counted them
        bounds.Admit(TestRequests.New()).ShouldNotBeNull();

        _time.Advance(TimeSpan.FromSeconds(2));
        Publish(pending: 1); // one has been assigned meanwhile
        bounds.Admit(TestRequests.New()).ShouldBeNull();
        bounds.Admit(TestRequests.New()).ShouldNotBeNull();
    }

    [Fact]
    public void Without_a_dispatcher_what_was_enqueued_counts_until_its_deadline()
    {
        var bounds = Bounds(new QueueLimits { MaxRequests = 1 });
        bounds.Admit(TestRequests.New()).ShouldBeNull();

        _time.Advance(TimeSpan.FromMinutes(9));
        bounds.Admit(TestRequests.New()).ShouldNotBeNull();

        _time.Advance(TimeSpan.FromMinutes(1));
        bounds.Admit(TestRequests.New() with { Deadline = TestRequests.Deadline.AddMinutes(10) }).ShouldBeNull();
    }

    [Fact]
    public void What_was_never_enqueued_or_is_done_with_gives_its_room_back_once()
    {
        var bounds = Bounds(new QueueLimits { MaxRequests = 1 });
        var request = TestRequests.New();
        bounds.Admit(request).ShouldBeNull();
        bounds.Admit(request).ShouldBeNull(); // it is there already

        bounds.Forget(request);
        bounds.Forget(request);

        bounds.Admit(TestRequests.New()).ShouldBeNull();
        bounds.Admit(TestRequests.New()).ShouldNotBeNull();
    }

    [Theory]
    [InlineData(1000, 10, 1)] // a hundredth of 1000 pending is over, at 100 tokens/s
    [InlineData(100_000, 100, 10)]
    [InlineData(100_000_000, 1, 60)]
    public void Retry_after_is_the_time_to_work_off_what_is_too_much(long pendingTokens, double tokensPerSecond, int seconds)
    {
        var request = TestRequests.New();
        var bounds = Bounds(new QueueLimits { MaxTokens = pendingTokens + request.MaxTotalTokens - (long)(tokensPerSecond * seconds) });
        _demand.Publish(new ModelDemand { Model = TestRequests.Model, At = _time.GetUtcNow(), PendingRequests = 1, PendingPromptTokens = pendingTokens, ServedTokensPerSecond = tokensPerSecond });

        var fault = bounds.Admit(request).ShouldNotBeNull();

        fault.Message.ShouldContain("tokens");
        fault.RetryAfter.ShouldBe(TimeSpan.FromSeconds(seconds));
    }

    [Fact]
    public void An_organizations_share_counts_what_waits_elsewhere()
    {
        var bounds = Bounds(new QueueLimits { MaxRequests = 10, TenantShare = 0.5 });
        _demand.Publish(new ModelDemand
        {
            Model = TestRequests.Model,
            At = _time.GetUtcNow(),
            PendingRequests = 5,
            PendingPromptTokens = 50,
            PendingByOrganization = [new PendingShare("greedy", 5, 50)],
        });

        bounds.Admit(TestRequests.New() with { Owner = new Owner("greedy", "t", "k") }).ShouldNotBeNull().Message.ShouldContain("share");
        bounds.Admit(TestRequests.New() with { Owner = new Owner("modest", "t", "k") }).ShouldBeNull();
    }

    [Fact]
    public void All_models_together_are_bounded_and_a_newcomer_finds_room()
    {
        var bounds = Bounds(new QueueLimits { MaxTotalBytes = 100_000 });
        var body = new byte[1000];

        var taken = Enumerable.Range(0, 1000).Count(model => bounds.Admit(Of($"model-{model}", "greedy", body)) is null);

        taken.ShouldBe(50); // as much as it leaves free
        bounds.Admit(Of("model-0", "greedy", body)).ShouldNotBeNull().Message.ShouldContain("all models");
        bounds.Admit(Of("model-0", "modest", body)).ShouldBeNull();
    }

    [Fact]
    public void What_dispatchers_hold_of_all_models_counts_and_leaves_with_them()
    {
        var bounds = Bounds(new QueueLimits { MaxTotalBytes = 100_000 });
        var body = new byte[1000];
        foreach (var model in Enumerable.Range(0, 1000))
        {
            bounds.Admit(Of($"model-{model}", "first", [])).ShouldBeNull();
            Pending($"model-{model}", 90);
        }

        _time.Advance(TimeSpan.FromSeconds(1));
        bounds.Admit(Of("model-7", "greedy", body)).ShouldBeNull();
        bounds.Admit(Of("model-7", "first", body)).ShouldNotBeNull();

        foreach (var model in Enumerable.Range(0, 1000)) Pending($"model-{model}", 0);
        _time.Advance(TimeSpan.FromSeconds(1));
        bounds.Admit(Of("model-7", "first", body)).ShouldBeNull();
    }

    private static InferenceRequest Of(string model, string organization, byte[] body) => TestRequests.New(new ModelName(model)) with { Owner = new Owner(organization, "t", "k"), Body = body };

    private void Pending(string model, long bytes) => _demand.Publish(new ModelDemand
    {
        Model = new ModelName(model), At = _time.GetUtcNow(), PendingRequests = 1, PendingPromptTokens = 1, PendingBytes = bytes, PendingByOrganization = [new PendingShare("first", 1, 1)],
    });

    private EnqueueBounds Bounds(QueueLimits limits) => new(limits, _demand, _time);

    private void Publish(int pending) => _demand.Publish(new ModelDemand { Model = TestRequests.Model, At = _time.GetUtcNow(), PendingRequests = pending });
}
