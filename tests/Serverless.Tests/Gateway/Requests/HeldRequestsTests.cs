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

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    private readonly TestClock _time = new(TestRequests.Deadline.AddMinutes(-10));
    private readonly MemoryRequestLog _log;
    private readonly HeldRequests _held;

    public HeldRequestsTests()
    {
        _log = new MemoryRequestLog(_time);
        _held = new HeldRequests(_log, new GatewayIdentity(Other, "memory"), _time, NullLogger<HeldRequests>.Instance);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_stop_gives_back_what_was_taken_over_while_somebody_listens_to_it_here()
    {
        var ticket = await TakeOverAsync();

        await _held.StopAsync(Token);

        await ShouldBeHeldByAsync(ticket, First);
    }

    [Fact]
    public async Task A_stop_gives_back_what_was_taken_over_and_is_in_its_grace()
    {
        var ticket = await TakeOverAsync();
        ticket.Fault = RequestFaults.ClientGone;
        await _held.LeaveAsync(ticket);
        await ShouldBeHeldByAsync(ticket, Other);

        await _held.StopAsync(Token);

        await ShouldBeHeldByAsync(ticket, First);
    }

    [Fact]
    public async Task Who_is_told_to_come_back_elsewhere_gives_back_what_was_taken_over_when_the_last_of_them_has_left()
    {
        var (ticket, twin) = (await TakeOverAsync(), (Ticket?)null);
        twin = await TakeOverAsync(ticket);

        (ticket.HandedOn, ticket.Fault) = (true, ShutdownGate.Fault);
        await _held.LeaveAsync(ticket);
        await ShouldBeHeldByAsync(ticket, Other);
        (twin.HandedOn, twin.Fault) = (true, ShutdownGate.Fault);
        await _held.LeaveAsync(twin);

        await ShouldBeHeldByAsync(ticket, First);
        _held.Count.ShouldBe(0);
    }

    [Fact]
    public async Task What_failed_here_alone_goes_back_to_whom_it_was_taken_from()
    {
        var ticket = await TakeOverAsync();

        ticket.Fault = ShutdownGate.Fault; // of one that nobody may come back for
        await _held.LeaveAsync(ticket);

        await ShouldBeHeldByAsync(ticket, First);
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

    public void Dispose() => _held.Dispose();

    private async Task ShouldBeHeldByAsync(Ticket ticket, string holder)
    {
        var head = (await _log.ReadHeadAsync(ticket.Id, Token))!;
        head.Ended.ShouldBeFalse();
        head.Holder.ShouldBe(holder);
    }

    private async Task<Ticket> TakeOverAsync(Ticket? again = null)
    {
        var ticket = again is null ? await OpenAsync(First) : TicketOf(again.Id, again.Head);
        (await _held.TakeOverAsync(ticket.Id, again is null ? First : Other, Token)).ShouldBe(HoldResult.Held);
        return ticket;
    }

    private async Task<Ticket> OpenAsync(string holder)
    {
        var request = TestRequests.New() with { Holder = holder, Resumable = true };
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
