using Microsoft.Extensions.Logging.Abstractions;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;
using Serverless.Leases;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.Requests;

/// <summary>Who lets go of a request, and to whom it goes.</summary>
public sealed class HeldRequestsTests : IDisposable
{
    private const string First = "first-gateway";
    private const string Other = "other-gateway";

    private static readonly RequestEvent Gone = new RequestEvent.Cancelled("Gone.");

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    private readonly TestClock _time = new(TestRequests.Deadline.AddMinutes(-10));
    private readonly HookedLog _log;
    private readonly MemoryLeases _leases;
    private readonly HeldRequests _first;
    private readonly HeldRequests _held;

    public HeldRequestsTests()
    {
        _log = new HookedLog(new MemoryRequestLog(_time));
        _leases = new MemoryLeases(_time);
        (_first, _held) = (New(First), New(Other));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_stop_leaves_to_the_others_what_somebody_listens_to_here()
    {
        var ticket = await TakeOverAsync();

        await _held.StopAsync(Token);

        await ShouldBeHeldByAsync(ticket, First);
    }

    [Fact]
    public async Task A_stop_leaves_to_the_others_what_is_in_its_grace()
    {
        var ticket = await TakeOverAsync();
        ticket.Fault = RequestFaults.ClientGone;
        await _held.LeaveAsync(ticket);
        await ShouldBeHeldByAsync(ticket, Other);

        await _held.StopAsync(Token);

        await ShouldBeHeldByAsync(ticket, First);
    }

    [Fact]
    public async Task A_stop_leaves_what_is_in_its_grace_here_alone_to_its_client()
    {
        var ticket = await OpenAsync(Other);
        _held.Take(ticket.Id);
        ticket.Fault = RequestFaults.ClientGone;
        await _held.LeaveAsync(ticket);

        await _held.StopAsync(Token);

        await ShouldBeHeldByAsync(ticket, Other);
    }

    [Fact]
    public async Task Who_is_told_to_come_back_elsewhere_lets_go_when_the_last_of_them_has_left()
    {
        var ticket = await TakeOverAsync();
        var twin = await TakeOverAsync(ticket);

        (ticket.HandedOn, ticket.Fault) = (true, ShutdownGate.Fault);
        await _held.LeaveAsync(ticket);
        await ShouldBeHeldByAsync(ticket, Other);
        (twin.HandedOn, twin.Fault) = (true, ShutdownGate.Fault);
        await _held.LeaveAsync(twin);

        await ShouldBeHeldByAsync(ticket, First);
        _held.Count.ShouldBe(0);
    }

    [Fact]
    public async Task Who_comes_back_to_a_third_gateway_while_the_second_one_lets_go_keeps_its_request()
    {
        var ticket = await TakeOverAsync();
        _log.Between = () => _log.HoldAsync(ticket.Id, Promise.Connection, "third", Token);

        (ticket.HandedOn, ticket.Fault) = (true, ShutdownGate.Fault);
        await _held.LeaveAsync(ticket);
        await _log.LapseAsync(ticket.Id, First, Gone, Token);

        await ShouldBeHeldByAsync(ticket, "third");
    }

    [Fact]
    public async Task What_the_second_gateway_handed_on_and_the_third_one_lets_go_of_stays_with_the_first_one()
    {
        using var third = New("third");
        var ticket = await TakeOverAsync();
        var theirs = await TakeOverAsync(ticket, third);

        (ticket.HandedOn, ticket.Fault) = (true, ShutdownGate.Fault);
        await _held.LeaveAsync(ticket);
        theirs.Fault = ShutdownGate.Fault;
        await third.LeaveAsync(theirs);
        await _log.LapseAsync(ticket.Id, Other, Gone, Token); // as its dispatcher does once that one is gone

        await ShouldBeHeldByAsync(ticket, First);
    }

    [Fact]
    public async Task What_failed_here_alone_goes_on_for_the_gateway_that_had_it_before()
    {
        var ticket = await TakeOverAsync();

        ticket.Fault = ShutdownGate.Fault; // of one that nobody may come back for
        await _held.LeaveAsync(ticket);

        await ShouldBeHeldByAsync(ticket, First);
    }

    [Fact]
    public async Task What_failed_for_its_own_gateway_ends_with_the_last_who_watches_it_elsewhere()
    {
        var own = await OpenAsync(First);
        _first.Take(own.Id);
        var watch = await TakeOverAsync(own);

        own.Fault = RequestFaults.Internal;
        await _first.LeaveAsync(own);
        await ShouldBeHeldByAsync(own, Other);
        watch.Fault = RequestFaults.Internal;
        await _held.LeaveAsync(watch);

        (await _log.ReadHeadAsync(own.Id, Token))!.Ended.ShouldBeTrue("nobody is left for whom it could run");
    }

    [Fact]
    public async Task What_a_gateway_holds_that_is_lost_ends_though_its_dispatcher_watches_another()
    {
        await _leases.AcquireAsync(LeaseNames.Gateway(Other), "test", TimeSpan.FromMinutes(2), Token);
        var own = await OpenAsync(First);
        _first.Take(own.Id);
        await TakeOverAsync(own);
        own.Fault = RequestFaults.Internal;
        await _first.LeaveAsync(own);
        var end = EndAsync(own.Id);

        for (var i = 0; i < 60; i++) _time.Advance(TimeSpan.FromSeconds(1));
        await ShouldBeHeldByAsync(own, Other);
        while (!end.IsCompleted) _time.Advance(TimeSpan.FromSeconds(1));

        (await end).ShouldBeOfType<RequestEvent.Cancelled>();
    }

    [Fact]
    public async Task A_take_over_whose_answer_is_lost_is_held_here_for_its_grace_and_no_longer()
    {
        var ticket = await OpenAsync(First);
        _log.LosesHolds = true;
        await Should.ThrowAsync<ServingException>(async () => await _held.TakeOverAsync(ticket.Id, Grace, ticket.Head.Deadline));
        await _log.LapseAsync(ticket.Id, First, Gone, Token);
        await ShouldBeHeldByAsync(ticket, Other);
        _held.Count.ShouldBe(1);
        var end = EndAsync(ticket.Id);

        while (!end.IsCompleted) _time.Advance(TimeSpan.FromSeconds(1));

        (await end).ShouldBeOfType<RequestEvent.Cancelled>();
        _held.Count.ShouldBe(0);
    }

    [Fact]
    public async Task What_failed_for_one_connection_goes_on_for_the_other_here()
    {
        var ticket = await OpenAsync(Other);
        _held.Take(ticket.Id);
        _held.Take(ticket.Id);

        ticket.Fault = RequestFaults.Internal;
        await _held.LeaveAsync(ticket);

        await ShouldBeHeldByAsync(ticket, Other);
        _held.Count.ShouldBe(1);
    }

    [Fact]
    public async Task What_another_gateway_has_taken_over_does_not_end_with_the_connection_it_was_taken_from()
    {
        var ticket = await OpenAsync(Other);
        _held.Take(ticket.Id);
        await _log.HoldAsync(ticket.Id, Promise.Connection, "third", Token);

        ticket.Fault = ShutdownGate.Fault;
        await _held.LeaveAsync(ticket);

        await ShouldBeHeldByAsync(ticket, "third");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_this_connections_alone_ends_with_its_fault(bool refused)
    {
        var ticket = await OpenAsync(Other);
        _held.Take(ticket.Id);

        (ticket.Fault, ticket.Refused) = (ShutdownGate.Fault, refused);
        await _held.LeaveAsync(ticket);

        (await _log.ReadHeadAsync(ticket.Id, Token))!.Ended.ShouldBeTrue();
    }

    [Fact]
    public async Task A_refused_request_ends_for_its_twin_too()
    {
        var ticket = await OpenAsync(Other);
        _held.Take(ticket.Id);
        await _log.HoldAsync(ticket.Id, Promise.Connection, "third", Token);

        (ticket.Fault, ticket.Refused) = (new ServingFault(ServingError.QueueFull, "Full."), true);
        await _held.LeaveAsync(ticket);

        (await _log.ReadHeadAsync(ticket.Id, Token))!.Ended.ShouldBeTrue("nothing was accepted that it could wait for");
    }

    public void Dispose()
    {
        _first.Dispose();
        _held.Dispose();
    }

    private HeldRequests New(string gateway) => new(_log, _leases, new GatewayIdentity(gateway, "memory"), _time, NullLogger<HeldRequests>.Instance);

    private async Task<RequestEvent> EndAsync(RequestId id)
    {
        await foreach (var logged in _log.FollowAsync(id, 0, Token)) if (logged.Event.IsTerminal) return logged.Event;
        throw new InvalidOperationException("A log ends in a terminal event.");
    }

    private async Task ShouldBeHeldByAsync(Ticket ticket, string holder)
    {
        var head = (await _log.ReadHeadAsync(ticket.Id, Token))!;
        head.Ended.ShouldBeFalse();
        head.Holder.ShouldBe(holder);
    }

    private async Task<Ticket> TakeOverAsync(Ticket? again = null, HeldRequests? by = null)
    {
        var ticket = again is null ? await OpenAsync(First) : TicketOf(again.Id, again.Head);
        (await (by ?? _held).TakeOverAsync(ticket.Id, Grace, ticket.Head.Deadline)).ShouldBe(HoldResult.Held);
        return ticket;
    }

    private async Task<Ticket> OpenAsync(string holder)
    {
        var request = TestRequests.New() with { Holder = holder, Resumable = true, Deadline = TestRequests.Deadline.AddDays(10) };
        var head = LogHead.Of(request);
        await _log.OpenAsync(request.Id, head, Token);
        return TicketOf(request.Id, head);
    }

    private static Ticket TicketOf(RequestId id, LogHead head) => new()
    {
        Id = id,
        Head = head,
        Shape = new AnswerShape { Id = id, Endpoint = EndpointName.ChatCompletions, Model = "tiny", Created = 1, ServiceTier = "default", SystemFingerprint = "fp", Choices = 1, Resume = Grace },
        Holds = true,
    };
}
