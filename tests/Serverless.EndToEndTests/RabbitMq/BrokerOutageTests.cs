using Serverless.Catalog;
using Serverless.EndToEndTests.Parts;
using Serverless.Errors;
using Serverless.Requests;
using Shouldly;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>A broker of each test's own, which is killed, stopped, and robbed of its queues.</summary>
public sealed class BrokerOutageTests : IAsyncLifetime
{
    private readonly ModelName _model = new("tiny");
    private RabbitMqServer _server = null!;
    private RabbitMqClient _client = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(RabbitMqServer.Absent is not null, RabbitMqServer.Absent ?? "");
        _server = await RabbitMqServer.StartNewAsync(Token);
        _client = new RabbitMqClient(_server, settings: new Dictionary<string, string?> { ["RabbitMq:PublishTimeout"] = "00:00:03", ["RabbitMq:Heartbeat"] = "00:00:02" });
    }

    public async ValueTask DisposeAsync()
    {
        if (_client is not null) await _client.DisposeAsync();
        if (_server is not null) await _server.DisposeAsync();
    }

    [Fact]
    public async Task A_killed_broker_keeps_what_an_id_promised_and_delivers_it_again()
    {
        await SettleAsync();
        var (kept, waiting, gone) = (New(Promise.Id), New(Promise.Id), New(Promise.Connection));
        foreach (var request in new[] { kept, waiting, gone }) (await _client.Queue.EnqueueAsync(request, Token)).Succeeded.ShouldBeTrue();
        await using var deliveries = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        var before = new Dictionary<RequestId, IRequestDelivery>();
        while (before.Count < 3) await TakeAsync(deliveries, before);

        await _server.KillAsync();
        await _client.Log.WaitForAsync("Lost RabbitMQ");

        foreach (var delivery in before.Values) await delivery.CompleteAsync(Token); // it has nobody to tell
        (await _client.Queue.EnqueueAsync(New(Promise.Id), Token)).Fault.ShouldNotBeNull().Error.ShouldBe(ServingError.StoreUnavailable);
        await Should.ThrowAsync<ServingException>(async () => await _client.Queue.DepthAsync(_model, Token));

        await _server.StartAsync(Token);

        var after = new Dictionary<RequestId, IRequestDelivery>();
        while (after.Count < 2) await TakeAsync(deliveries, after);
        after.Keys.ShouldBe([kept.Id, waiting.Id], ignoreOrder: true);
        await SubmitAsync(gone); // its holder submits it again
        await TakeAsync(deliveries, after);
        after.Keys.ShouldContain(gone.Id);
        foreach (var delivery in after.Values) await delivery.CompleteAsync(Token);
        (await _client.Queue.DepthAsync(_model, Token)).Requests.ShouldBe(0);
    }

    [Fact]
    public async Task A_stopped_broker_is_found_out_and_delivers_anew_when_it_wakes()
    {
        var request = New(Promise.Id);
        await SubmitAsync(request);
        await using var deliveries = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        var before = new Dictionary<RequestId, IRequestDelivery>();
        await TakeAsync(deliveries, before);

        await _server.Process.SignalAsync("STOP");
        var refused = (await _client.Queue.EnqueueAsync(New(Promise.Id), Token)).Fault.ShouldNotBeNull();
        await _client.Log.WaitForAsync("Lost RabbitMQ");
        await before[request.Id].CompleteAsync(Token);
        await _server.Process.SignalAsync("CONT");

        refused.Error.ShouldBe(ServingError.StoreUnavailable);
        refused.Message.ShouldContain("3 s");
        var after = new Dictionary<RequestId, IRequestDelivery>();
        while (!after.ContainsKey(request.Id)) await TakeAsync(deliveries, after);
        after[request.Id].Redelivered.ShouldBeTrue();
    }

    [Fact]
    public async Task A_broker_that_hangs_is_told_in_one_line_and_in_the_queues_state_until_it_is_back()
    {
        await SubmitAsync(New(Promise.Id));
        _client.Queue.Status.IsReachable.ShouldBeTrue();

        await _server.Process.SignalAsync("STOP");
        var refused = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _client.Queue.EnqueueAsync(New(Promise.Id), Token).AsTask())).WithinLimitAsync();
        var hanging = _client.Queue.Status;
        await _client.Log.WaitForAsync("Lost RabbitMQ");
        var lost = _client.Queue.Status;
        await _server.Process.SignalAsync("CONT");
        await SubmitAsync(New(Promise.Id));

        refused.ShouldAllBe(result => result.Fault!.Error == ServingError.StoreUnavailable);
        (hanging.IsReachable, lost.IsReachable, lost.Since).ShouldBe((false, false, hanging.Since));
        hanging.Reason.ShouldNotBeEmpty();
        _client.Queue.Status.IsReachable.ShouldBeTrue();
        await _client.Log.WaitForAsync("is to be had");
        _client.Log.All.Count(line => line.Contains("does not confirm", StringComparison.Ordinal) || line.Contains("cannot be reached", StringComparison.Ordinal) || line.Contains("Lost", StringComparison.Ordinal)).ShouldBeLessThanOrEqualTo(3);
    }

    [Fact]
    public async Task A_deleted_queue_is_declared_again_by_the_next_enqueue_and_consumed_again()
    {
        await SubmitAsync(New(Promise.Id));
        await using var deliveries = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        await TakeAsync(deliveries, []);
        foreach (var queue in new[] { _client.Link.Topology.Durable(_model), _client.Link.Topology.Transient(_model) }) await _server.DeleteQueueAsync(queue, Token);

        foreach (var promise in new[] { Promise.Id, Promise.Connection })
        {
            var request = New(promise);
            await SubmitAsync(request); // RabbitMQ 3.10 may close the connection on those who publish while it deletes a quorum queue
            var after = new Dictionary<RequestId, IRequestDelivery>();
            while (!after.ContainsKey(request.Id)) await TakeAsync(deliveries, after);
        }
    }

    [Fact]
    public async Task Queues_that_were_deleted_while_their_model_slept_are_consumed_again()
    {
        await SubmitAsync(New(Promise.Id));
        await using (var deliveries = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token)) await TakeAsync(deliveries, []);
        foreach (var queue in new[] { _client.Link.Topology.Durable(_model), _client.Link.Topology.Transient(_model) }) await _server.DeleteQueueAsync(queue, Token);

        await using var again = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        var taking = again.MoveNextAsync().WithinLimitAsync();
        await _client.Log.WaitForAsync("Lost RabbitMQ"); // a consumer is told that there is no such queue, and whoever publishes next is another gateway
        await using var other = new RabbitMqClient(_server, _client.Prefix);
        var request = New(Promise.Id);
        (await other.Queue.EnqueueAsync(request, Token)).Fault.ShouldBeNull();

        (await taking).ShouldBeTrue();
        again.Current.Request.Id.ShouldBe(request.Id);
    }

    [Fact]
    public async Task Without_the_right_to_declare_a_missing_queue_is_an_outage_and_no_promise()
    {
        await using var client = new RabbitMqClient(_server, settings: new Dictionary<string, string?> { ["RabbitMq:Declare"] = "false" });

        var fault = (await client.Queue.EnqueueAsync(New(Promise.Id), Token)).Fault.ShouldNotBeNull();

        fault.Error.ShouldBe(ServingError.StoreUnavailable);
        fault.Message.ShouldContain(client.Link.Topology.Durable(_model));
    }

    [Fact]
    public async Task A_dead_letter_whose_queue_is_gone_is_not_lost()
    {
        var request = New(Promise.Id);
        await SubmitAsync(request);
        await using var deliveries = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        var taken = new Dictionary<RequestId, IRequestDelivery>();
        await TakeAsync(deliveries, taken);
        await _server.DeleteQueueAsync(_client.Link.Topology.DeadLetters, Token);

        await taken[request.Id].DeadLetterAsync(new ServingFault(ServingError.Poisoned, "Three attempts were lost."), 3, Token);

        (await _client.Letters.ListAsync(10, Token)).ShouldHaveSingleItem().Id.ShouldBe(request.Id.Value);
    }

    [Fact]
    public async Task A_request_condemned_while_the_broker_was_away_is_buried_when_it_comes_again()
    {
        await SettleAsync();
        var request = New(Promise.Id);
        await SubmitAsync(request);
        await using var deliveries = _client.Queue.ConsumeAsync(_model, Token).Enumerate(Token);
        var taken = new Dictionary<RequestId, IRequestDelivery>();
        await TakeAsync(deliveries, taken);
        await _server.KillAsync();

        await taken[request.Id].DeadLetterAsync(new ServingFault(ServingError.Poisoned, "Three attempts were lost."), 3, Token);
        await _server.StartAsync(Token);

        var next = New(Promise.Id);
        var moving = deliveries.MoveNextAsync().WithinLimitAsync();
        await _client.Log.WaitForAsync("is a dead letter");
        await SubmitAsync(next);
        (await moving).ShouldBeTrue();
        deliveries.Current.Request.Id.ShouldBe(next.Id); // the condemned one was not handed out again
        var letter = (await _client.Letters.ListAsync(10, Token)).ShouldHaveSingleItem();
        (letter.Id, letter.Attempts).ShouldBe((request.Id.Value, 3));
    }

    /// <summary>Declares the queues and lets them get old enough to survive a kill.</summary>
    private async Task SettleAsync()
    {
        await (await _client.Link.SessionAsync(Token).WithinLimitAsync()).DeclareAllAsync([_model]);
        await _server.SettleAsync(Token);
        await _client.Log.WaitForAsync("Connected");
        await _client.Log.WaitForAsync("Connected");
    }

    /// <summary>As a holder does: again, until the broker has it.</summary>
    private async Task SubmitAsync(InferenceRequest request)
    {
        while (!(await _client.Queue.EnqueueAsync(request, Token)).Succeeded) await _client.Link.SessionAsync(Token).WithinLimitAsync();
    }

    private InferenceRequest New(Promise promise) => TestRequests.New(_model) with { Promise = promise };

    private async Task TakeAsync(IAsyncEnumerator<IRequestDelivery> deliveries, Dictionary<RequestId, IRequestDelivery> into)
    {
        try
        {
            (await deliveries.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue("the consumer ended");
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException($"Nothing was delivered. Our log:\n{string.Join('\n', _client.Log.All)}\nThe broker's queues: {await _server.ListQueuesAsync(Token)}\nThe broker's output:\n{_server.Process.Output}", exception);
        }

        into[deliveries.Current.Request.Id] = deliveries.Current;
    }
}
