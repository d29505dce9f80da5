using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Serverless.Events;
using Serverless.Hosting.Dapr;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Events as daprd delivers them: whose, how large, how many bytes at a time.</summary>
public sealed class DeliveredEventTests
{
    private const string Path = DaprNames.EventsPath + EventTopics.Requests;
    private const string ContentType = "application/cloudevents+json";
    private const string AppToken = "the token";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whoever_sends_an_event_with_too_long_a_body_is_told_and_the_broker_is_rid_of_it()
    {
        await using var gateway = await StartAsync();
        await using var results = gateway.Backend.Events.SubscribeAsync(EventTopics.Results, Token).Enumerate(Token);

        (await PostAsync(gateway, Event(3000))).ShouldBe("""{"status":"SUCCESS"}""");

        (await results.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        var error = JsonElement.Parse(results.Current.Data.Span).GetProperty("error");
        error.GetProperty("code").GetString().ShouldBe("body_too_large");
        error.GetProperty("message").GetString()!.ShouldContain("the limit is 2000.");
    }

    [Fact]
    public async Task An_event_that_is_too_long_to_be_read_is_dead_lettered_not_sent_again_for_ever()
    {
        await using var gateway = await StartAsync();

        (await PostAsync(gateway, Event(200_000))).ShouldBe("""{"status":"DROP"}""");
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_event_that_finds_no_room_among_the_bodies_comes_again_after_a_moment_at_least(bool lengthIsTold)
    {
        var (time, budget) = (new TestClock(), new ByteBudget(40_000));
        budget.TryTake("acme", 20_000).ShouldBeTrue();
        var receiver = ReceiverOf(new(), budget, time);
        var full = HttpOf(Event(12_000), lengthIsTold);

        var answering = receiver.ReceiveAsync(full);
        answering.IsCompleted.ShouldBeFalse("the broker sends it again at once");
        time.Advance(TimeSpan.FromSeconds(1));
        await answering.WithinLimitAsync();

        AnswerOf(full).ShouldBe("""{"status":"RETRY"}""");
        budget.Held.ShouldBe(20_000);
        budget.Return("acme", 20_000);
        var taken = HttpOf(Event(12_000), lengthIsTold);
        await receiver.ReceiveAsync(taken).WithinLimitAsync();
        AnswerOf(taken).ShouldBe("""{"status":"SUCCESS"}""");
        budget.Held.ShouldBe(0, "it was handled");
    }

    [Theory]
    [InlineData(25_000, true, "DROP")]
    [InlineData(25_000, false, "DROP")]
    [InlineData(18_000, true, "SUCCESS")]
    [InlineData(18_000, false, "SUCCESS")]
    public async Task An_event_that_can_never_find_room_is_dead_lettered_and_one_that_just_does_is_taken(int bytes, bool lengthIsTold, string answer)
    {
        var budget = new ByteBudget(40_000);
        var http = HttpOf(Event(bytes), lengthIsTold);

        await ReceiverOf(new(), budget, new TestClock()).ReceiveAsync(http).WithinLimitAsync();

        AnswerOf(http).ShouldBe($$"""{"status":"{{answer}}"}""");
        budget.Held.ShouldBe(0);
    }

    [Fact]
    public void The_longest_event_must_find_room_among_the_bodies()
    {
        var options = new DaprOptions { MaxMessageBytes = 3 * 1024 * 1024 };

        new DaprOptions.RoomValidator(new ByteBudget(9 * 1024 * 1024)).Validate(null, options).Succeeded.ShouldBeTrue();
        new DaprOptions.RoomValidator().Validate(null, options).Succeeded.ShouldBeTrue();
        new DaprOptions.RoomValidator(new ByteBudget(8 * 1024 * 1024)).Validate(null, options).FailureMessage.ShouldBe(
            "Dapr:MaxMessageBytes is 3145728: an event of that size is delivered in up to 4259840 bytes, and Gateway:Admission:MaxTotalBytes, 8388608, has room for half of itself at most. Raise that to 8519680, or lower MaxMessageBytes.");
    }

    [Fact]
    public async Task An_event_of_the_next_releases_topic_is_left_to_a_gateway_that_knows_it()
    {
        var http = HttpOf(Event(10), lengthIsTold: true);
        http.Request.RouteValues["topic"] = "serverless.of-the-next-release";

        await ReceiverOf(new(), null, null).ReceiveAsync(http);

        AnswerOf(http).ShouldBe("""{"status":"RETRY"}""");
    }

    [Theory]
    [InlineData(DaprNames.CallerHeader, null, false, 403)]
    [InlineData(DaprNames.CalleeHeader, null, false, 403)]
    [InlineData(DaprNames.CallerHeader, DaprNames.ComponentHeader, false, 200)]
    [InlineData(DaprNames.CallerHeader, null, true, 200)]
    [InlineData(DaprNames.ComponentHeader, null, false, 200)]
    public async Task With_the_token_what_another_app_invokes_is_told_from_what_the_broker_delivers(string header, string? second, bool isAllowed, int status)
    {
        var (handler, options) = (new Handler(), new DaprOptions { AllowInvokedEvents = isAllowed });
        var http = HttpOf(Event(10), lengthIsTold: true);
        http.Request.Headers[header] = "neighbour";
        if (second is not null) http.Request.Headers[second] = "pubsub";

        await ReceiverOf(handler, null, null, options).ReceiveAsync(http);

        http.Response.StatusCode.ShouldBe(status);
        handler.Handled.ShouldBe(status == 200 && second is null ? 1 : 0);
        if (second is not null) AnswerOf(http).ShouldBe("""{"status":"DROP"}""", "a message of the broker whose metadata say so would come again for ever");
    }

    private static Task<GatewayUnderTest> StartAsync() => GatewayUnderTest.StartAsync(
        new() { ["Gateway:Admission:MaxBodyBytes"] = "2000", ["Dapr:MaxMessageBytes"] = "65536" },
        services => services.AddDaprEvents(),
        map: app => app.MapGroup("").AllowAnonymous().MapDaprEvents());

    private static async Task<string> PostAsync(GatewayUnderTest gateway, string cloudEvent)
    {
        using var answer = await gateway.PostAsync(Path, cloudEvent, Token, ContentType);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK);
        return await answer.Content.ReadAsStringAsync(Token);
    }

    private static string Event(int bytes) => $$$$"""
        {"specversion":"1.0","id":"1","source":"/shop","type":"asked","data":{"endpoint":"/v1/completions","body":{"model":"tiny","prompt":"{{{{new string('a', bytes)}}}}"}}}
        """;

    private static DefaultHttpContext HttpOf(string cloudEvent, bool lengthIsTold)
    {
        var http = new DefaultHttpContext();
        var bytes = Encoding.UTF8.GetBytes(cloudEvent);
        http.Request.Body = new MemoryStream(bytes);
        http.Request.ContentLength = lengthIsTold ? bytes.Length : null;
        http.Request.ContentType = ContentType;
        http.Request.RouteValues["topic"] = EventTopics.Requests;
        http.Request.Headers[DaprNames.TokenHeader] = AppToken;
        http.Response.Body = new MemoryStream();
        return http;
    }

    private static string AnswerOf(HttpContext http) => Encoding.UTF8.GetString(((MemoryStream)http.Response.Body).ToArray());

    private static DaprEventReceiver ReceiverOf(Handler handler, ByteBudget? budget, TimeProvider? time, DaprOptions? options = null)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("APP_API_TOKEN", AppToken)]).Build();
        return new DaprEventReceiver([handler], new MemoryEventBus(TimeProvider.System), configuration, Options.Create(options ?? new DaprOptions()), NullLogger<DaprEventReceiver>.Instance, budget, time);
    }

    private sealed class Handler : IEventHandler
    {
        public int Handled { get; private set; }

        public IReadOnlyList<string> Topics { get; } = [EventTopics.Requests];

        public ValueTask<Errors.BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
        {
            Handled++;
            return new(Errors.BrokerVerdict.Done);
        }
    }
}
