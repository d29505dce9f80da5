using System.Diagnostics.Metrics;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Serverless.Documents;
using Serverless.Gateway.Callbacks;
using Serverless.Gateway.Requests;
using Serverless.Hosting.Webhooks;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>One callback after another against a real receiver, in the test's time.</summary>
public sealed class CallbackCallerTests
{
    private static readonly Owner Owner = new("acme", "team", "key");

    private readonly TestClock _time = new();
    private readonly MemoryDocumentStore _documents;
    private readonly RequestRecords _records;
    private readonly CallbackOutbox _outbox;
    private readonly CallbackOptions _options = new() { AllowedHosts = ["*"], AllowHttp = true, AllowPrivateAddresses = true, Secrets = new() { ["acme"] = CallbackReceiver.Secret } };

    public CallbackCallerTests()
    {
        _documents = new MemoryDocumentStore(_time);
        _records = new RequestRecords(_documents, Options.Create(new PromiseOptions { KeepResults = TimeSpan.FromDays(30) }), _time);
        _outbox = new CallbackOutbox(_documents);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_receiver_that_is_down_for_an_hour_is_told_once_it_is_back_and_under_one_id()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        var began = _time.GetUtcNow();
        receiver.Answer = http =>
        {
            http.Response.StatusCode = _time.GetUtcNow() - began < TimeSpan.FromHours(1) ? 503 : 204;
            return Task.CompletedTask;
        };

        var (state, calls) = await RunAsync(receiver.Url, receiver);

        state.Status.ShouldBe(CallbackStatus.Delivered);
        (_time.GetUtcNow() - began).ShouldBeInRange(TimeSpan.FromHours(1), TimeSpan.FromHours(3));
        calls.Count.ShouldBeInRange(8, 16);
        calls.ShouldAllBe(call => call.IsSigned && call.Id == calls[0].Id && call.Body == calls[0].Body);
        calls.Select(call => call.Timestamp).Distinct().Count().ShouldBe(calls.Count, "each try is signed anew");
    }

    [Fact]
    public async Task After_a_day_it_is_given_up()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        receiver.Answer = http =>
        {
            http.Response.StatusCode = 500;
            return Task.CompletedTask;
        };
        var began = _time.GetUtcNow();

        var (state, calls) = await RunAsync(receiver.Url, receiver);

        (state.Status, state.Error, state.Attempts).ShouldBe((CallbackStatus.Failed, "answered 500", calls.Count));
        (_time.GetUtcNow() - began).ShouldBeInRange(TimeSpan.FromHours(20), TimeSpan.FromHours(24));
        calls.Count.ShouldBeInRange(18, 36);
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("169.254.169.254")]
    [InlineData("10.0.0.7")]
    [InlineData("::1")]
    [InlineData("::ffff:127.0.0.1")]
    public async Task A_name_that_leads_where_only_this_machine_gets_is_not_called(string address)
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        _options.AllowPrivateAddresses = false;

        var (state, calls) = await RunAsync(new Uri($"http://rebound.example:{receiver.Url.Port}/"), receiver, address);

        state.Status.ShouldBe(CallbackStatus.Failed);
        state.Error!.ShouldContain("no public address");
        calls.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        receiver.Answer = http =>
        {
            http.Response.Redirect("/elsewhere");
            return Task.CompletedTask;
        };
        _options.GiveUpAfter = TimeSpan.Zero;

        var (state, calls) = await RunAsync(receiver.Url, receiver);

        state.Error.ShouldBe("answered 302; redirects are not followed");
        calls.Single().Path.ShouldBe("/hook");
    }

    [Fact]
    public async Task One_that_does_not_answer_is_left_in_time()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        var never = new TaskCompletionSource();
        receiver.Answer = http => never.Task.WaitAsync(http.RequestAborted);
        _options.GiveUpAfter = TimeSpan.Zero;
        var claimed = await DueAsync(receiver.Url);
        var calling = Caller(null).CallAsync(claimed, Token);
        await receiver.TakeAsync();

        _time.Advance(_options.Timeout);
        await calling;

        (await StateAsync()).Error.ShouldBe("did not answer within 15 s");
    }

    [Fact]
    public async Task A_receiver_says_when_it_wants_it_again()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        receiver.Answer = http =>
        {
            http.Response.StatusCode = 429;
            http.Response.Headers.RetryAfter = "1800";
            return Task.CompletedTask;
        };

        await Caller(null).CallAsync(await DueAsync(receiver.Url), Token);

        var due = (await _outbox.FindAsync("chatcmpl-1", Token))!.Due;
        (due.DueAt - _time.GetUtcNow(), due.Attempts).ShouldBe((TimeSpan.FromMinutes(30), 1));
    }

    [Fact]
    public async Task A_long_answer_is_left_out_and_can_be_asked_for()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        _options.MaxBodyBytes = 4096;

        var (state, calls) = await RunAsync(receiver.Url, receiver, response: JsonSerializer.SerializeToElement(new { text = new string('x', 5000) }));

        state.Status.ShouldBe(CallbackStatus.Delivered);
        calls.Single().Json["data"]!["response"].ShouldBeNull();
        calls.Single().Json["data"]!["id"]!.GetValue<string>().ShouldBe("chatcmpl-1");
    }

    [Fact]
    public async Task What_an_operator_forbids_meanwhile_is_not_called()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        var claimed = await DueAsync(receiver.Url);
        _options.AllowedHosts = ["hooks.example"];

        await Caller(null).CallAsync(claimed, Token);

        (await StateAsync()).Error!.ShouldContain("AllowedHosts");
        receiver.Count.ShouldBe(0);
    }

    [Fact]
    public async Task One_that_this_release_cannot_read_is_left_alone()
    {
        await _documents.SaveAsync(new DocumentKey("callbacks", "all", "chatcmpl-2"), "{\"due_at\":7}"u8.ToArray(), SaveCondition.New, null, Token);

        (await _outbox.FindAsync("chatcmpl-2", Token)).ShouldBeNull();
    }

    /// <summary>Makes a callback again and again, when it is due, until it has come to an end.</summary>
    private async Task<(CallbackState State, List<ReceivedCall> Calls)> RunAsync(Uri url, CallbackReceiver receiver, string? leadsTo = null, JsonElement? response = null)
    {
        var caller = Caller(leadsTo);
        List<ReceivedCall> calls = [];
        for (var claimed = await DueAsync(url, response); ; claimed = (await _outbox.FindAsync("chatcmpl-1", Token))!)
        {
            if (claimed.Due.DueAt > _time.GetUtcNow()) _time.Advance(claimed.Due.DueAt - _time.GetUtcNow());
            var before = receiver.Count;
            await caller.CallAsync(claimed, Token);
            if (receiver.Count > before) calls.Add(await receiver.TakeAsync());
            if (await StateAsync() is { Status: not CallbackStatus.Pending } state)
            {
                (await _outbox.FindAsync("chatcmpl-1", Token)).ShouldBeNull();
                return (state, calls);
            }
        }
    }

    /// <summary>One that is due of a request that has ended.</summary>
    private async Task<StoredCallback> DueAsync(Uri url, JsonElement? response = null)
    {
        var now = _time.GetUtcNow();
        await _records.CreateAsync(
            new RequestRecord
            {
                Id = "chatcmpl-1",
                Endpoint = EndpointName.ChatCompletions,
                Model = "tiny",
                Owner = Owner,
                CreatedAt = now,
                EndedAt = now,
                Deadline = now,
                Status = RequestStatus.Completed,
                Response = response,
                Callback = new CallbackState(url.AbsoluteUri, CallbackStatus.Pending),
            },
            Token);
        await _outbox.AddAsync(new DueCallback("chatcmpl-1", Owner, now, now, 0), Token);
        return (await _outbox.FindAsync("chatcmpl-1", Token))!;
    }

    private async Task<CallbackState> StateAsync() => (await _records.FindAsync(Owner, new RequestId("chatcmpl-1"), Token))!.Value.Record.Callback!;

    private CallbackCaller Caller(string? leadsTo)
    {
        var options = Options.Create(_options);
        var meters = new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>();
        var sender = new WebhookSender(new WebhookLimits(_options.Timeout, _options.AllowPrivateAddresses), _time, leadsTo is null ? null : (_, _) => Task.FromResult(new[] { IPAddress.Parse(leadsTo) }));
        return new CallbackCaller(_outbox, _records, new CallbackPolicy(options), sender, new CallbackMetrics(meters), options, _time, NullLogger<CallbackCaller>.Instance);
    }

    [Fact]
    public async Task A_receiver_that_hangs_holds_up_no_other_on_its_host()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        var never = new TaskCompletionSource();
        receiver.Answer = http => http.Request.Path == "/slow" ? never.Task.WaitAsync(http.RequestAborted) : Task.CompletedTask;
        using var sender = new WebhookSender(new WebhookLimits(_options.Timeout, true), _time);
        Webhook To(string path) => new(new Uri(receiver.Url, path), "evt_1", "{}"u8.ToArray(), [new byte[32]]);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var slow = Enumerable.Range(0, 8).Select(_ => sender.SendAsync(To("/slow"), stop.Token)).ToArray();

        var answer = await sender.SendAsync(To("/hook"), Token).WithinLimitAsync();

        answer.IsDelivered.ShouldBeTrue();
        await stop.CancelAsync();
        foreach (var call in slow) await Should.ThrowAsync<OperationCanceledException>(call);
    }
}
