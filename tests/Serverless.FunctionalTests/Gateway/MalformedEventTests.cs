using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Hosting.Dapr;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Events that ask for nothing that can be done, as daprd delivers them: each lies among the dead letters with its reason, none is lost, none comes again, and others are served.</summary>
public sealed class MalformedEventTests
{
    private const string Structured = "application/cloudevents+json";
    private const string Good = """{"endpoint":"/v1/completions","body":{"model":"tiny","prompt":"x"}}""";
    private const string AppToken = "the token";

    private static readonly Kind[] Kinds =
    [
        // What is no event.
        new("nothing at all", "", "malformed_message", "not JSON"),
        new("a word", "hello", "malformed_message", "not JSON"),
        new("JSON that is cut off", """{"specversion":"1.0","id":"e""", "malformed_message", "not JSON"),
        new("two events in one", Event() + Event(), "malformed_message", "not JSON"),
        new("a list", "[]", "malformed_message", "a JSON Array"),
        new("a number", "7", "malformed_message", "a JSON Number"),
        new("null", "null", "malformed_message", "a JSON Null"),
        new("a comment", "/* no */ {}", "malformed_message", "not JSON"),
        new("half of a surrogate pair", """{"specversion":"1.0","id":"\ud800","source":"/s","type":"t"}""", "malformed_message", "not JSON"),
        new("nested too deeply", string.Concat(Enumerable.Repeat("""{"a":""", 100)), "malformed_message", "not JSON"),
        new("zero bytes", "\0\0\0", "malformed_message", "not JSON"),
        new("a byte order mark", "\ufeff" + Event(), "malformed_message", "not JSON"),
        new("a batch", "[" + Event() + "]", "malformed_message", "a batch", "application/cloudevents-batch+json"),

        // Envelopes.
        new("an empty envelope", "{}", "malformed_message", "'specversion' is missing"),
        new("no version", """{"id":"e","source":"/s","type":"t"}""", "malformed_message", "'specversion' is missing"),
        new("another version", """{"specversion":"0.3","id":"e","source":"/s","type":"t"}""", "malformed_message", "'specversion' is '0.3'"),
        new("a version that is a number", """{"specversion":1.0,"id":"e","source":"/s","type":"t"}""", "malformed_message", "'specversion' is a JSON Number"),
        new("no id", """{"specversion":"1.0","source":"/s","type":"t"}""", "malformed_message", "'id' is missing"),
        new("an empty id", """{"specversion":"1.0","id":"","source":"/s","type":"t"}""", "malformed_message", "'id' is missing"),
        new("an id that is null", """{"specversion":"1.0","id":null,"source":"/s","type":"t"}""", "malformed_message", "'id' is missing"),
        new("an id that is a number", """{"specversion":"1.0","id":7,"source":"/s","type":"t"}""", "malformed_message", "'id' is a JSON Number"),
        new("an id that is an object", """{"specversion":"1.0","id":{},"source":"/s","type":"t"}""", "malformed_message", "'id' is a JSON Object"),
        new("an id of 2,000 characters", $$"""{"specversion":"1.0","id":"{{new string('i', 2000)}}","source":"/s","type":"t"}""", "malformed_message", "at most 1024"),
        new("an id with a newline", """{"specversion":"1.0","id":"a\nb","source":"/s","type":"t"}""", "malformed_message", "control character"),
        new("no source", """{"specversion":"1.0","id":"e","type":"t"}""", "malformed_message", "'source' is missing"),
        new("a source that is a list", """{"specversion":"1.0","id":"e","source":[],"type":"t"}""", "malformed_message", "'source' is a JSON Array"),
        new("no type", """{"specversion":"1.0","id":"e","source":"/s"}""", "malformed_message", "'type' is missing"),
        new("a time that is none", """{"specversion":"1.0","id":"e","source":"/s","type":"t","time":"yesterday"}""", "malformed_message", "'time' is 'yesterday'"),
        new("an attribute that is an object", """{"specversion":"1.0","id":"e","source":"/s","type":"t","extra":{}}""", "malformed_message", "'extra' is a JSON Object"),
        new("data twice", """{"specversion":"1.0","id":"e","source":"/s","type":"t","data":{},"data_base64":"e30="}""", "malformed_message", "both 'data' and 'data_base64'"),
        new("base 64 that is none", """{"specversion":"1.0","id":"e","source":"/s","type":"t","data_base64":"*"}""", "malformed_message", "base 64"),
        new("base 64 that is a number", """{"specversion":"1.0","id":"e","source":"/s","type":"t","data_base64":7}""", "malformed_message", "base 64"),
        new("binary without an id", Good, "malformed_message", "'id' is missing", "application/json", ("ce-specversion", "1.0"), ("ce-source", "/s"), ("ce-type", "t")),
        new("binary without a version", Good, "malformed_message", "'specversion' is missing", "application/json", ("ce-id", "b-1"), ("ce-source", "/s"), ("ce-type", "t")),

        // Data.
        new("binary with data that is no JSON", "text", "invalid_request", "not valid JSON", "text/plain", ("ce-specversion", "1.0"), ("ce-id", "b-2"), ("ce-source", "/s"), ("ce-type", "t")),
        new("no data", """{"specversion":"1.0","id":"d-1","source":"/s","type":"t"}""", "invalid_request", "not valid JSON"),
        new("data that is a text", Event("\"hello\""), "invalid_request", "is a text"),
        new("data that is a list", Event("[]"), "invalid_request", "must be an object"),
        new("data that is a number", Event("7"), "invalid_request", "must be an object"),
        new("data in base 64 that is no JSON", """{"specversion":"1.0","id":"d-2","source":"/s","type":"t","data_base64":"AAAA"}""", "invalid_request", "not valid JSON"),
        new("no endpoint", Event("""{"body":{"model":"tiny","prompt":"x"}}"""), "invalid_request", "'endpoint' must be", "endpoint"),
        new("an endpoint that is a number", Event("""{"endpoint":7,"body":{}}"""), "invalid_request", "'endpoint' must be", "endpoint"),
        new("an endpoint that is not there", Event("""{"endpoint":"/v1/embeddings","body":{}}"""), "invalid_request", "'endpoint' must be", "endpoint"),
        new("no body", Event("""{"endpoint":"/v1/completions"}"""), "invalid_request", "'body' must be", "body"),
        new("a body that is a text", Event("""{"endpoint":"/v1/completions","body":"{}"}"""), "invalid_request", "'body' must be", "body"),
        new("a body that lacks what it needs", Event("""{"endpoint":"/v1/completions","body":{"model":"tiny"}}"""), "invalid_request", "'prompt'", "prompt"),
        new("a body with a field that is out of range", Event("""{"endpoint":"/v1/completions","body":{"model":"tiny","prompt":"x","temperature":9}}"""), "invalid_request", "temperature", "temperature"),
        new("a model that is not there", Event("""{"endpoint":"/v1/completions","body":{"model":"absent","prompt":"x"}}"""), "model_not_found", "absent", "model"),
        new("a prompt beyond the context", Event($$"""{"endpoint":"/v1/completions","body":{"model":"tiny","prompt":"{{new string('x', 20_000)}}"} }"""), "context_length_exceeded", "context", "prompt"),
        new("metadata that are a number", Event("""{"endpoint":"/v1/completions","body":{"model":"tiny","prompt":"x"},"metadata":7}"""), "invalid_request", "'metadata' must be", "metadata"),
        new("a model that is a number", With("\"model\":7"), "invalid_request", "'model' must be a text", "model"),
        new("a model that is empty", With("\"model\":\"\""), "invalid_request", "'model' must be a text", "model"),
        new("an owner that is none", With("\"owner\":\"acme\""), "invalid_request", "'owner' is 'acme'", "owner"),
        new("an owner that is an object", With("\"owner\":{}"), "invalid_request", "'owner' must be a text", "owner"),
        new("an owner that may not be named", With("\"owner\":\"acme/research\""), "not_permitted", "'owner' is 'acme/research'", "owner"),
        new("a priority that is none", With("\"priority\":\"high\""), "invalid_request", "'priority' is 'high'", "priority"),
        new("a priority that is a right", With("\"priority\":\"realtime\""), "not_permitted", "highest lane of events is interactive", "priority"),
        new("a deadline that is none", With("\"deadline\":\"soon\""), "invalid_request", "'deadline' is 'soon'", "deadline"),
        new("a deadline that is a number", With("\"deadline\":60"), "invalid_request", "'deadline' must be a text", "deadline"),
        new("a deadline that is over", With("\"deadline\":\"2020-01-01T00:00:00Z\""), "deadline_exceeded", "which is over", "deadline"),
        new("a callback where none are made", With("\"callback\":\"https://shop.example/hook\""), "invalid_request", "makes no callbacks", "callback"),
        new("deltas that are a text", With("\"deltas\":\"yes\""), "invalid_request", "'deltas' must be true or false", "deltas"),
        new("an answer where nothing is published", With("\"replyTo\":\"others.answers\""), "not_permitted", "'replyTo' is 'others.answers'", "replyTo"),
        new("a conversation that is empty", With("\"conversation\":\"\""), "invalid_request", "'conversation' must be a text", "conversation"),
        new("a conversation of 200 characters", With($"\"conversation\":\"{new string('c', 200)}\""), "invalid_request", "has 200 characters", "conversation"),
    ];

    private static int _events;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_kind_lies_among_the_dead_letters_with_its_reason_and_others_are_served()
    {
        Kinds.Length.ShouldBeGreaterThanOrEqualTo(50);
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["APP_API_TOKEN"] = AppToken }, services => services.AddDaprEvents(), map: app => app.MapGroup("").AllowAnonymous().MapDaprEvents());
        await using var dead = gateway.Backend.Events.SubscribeAsync(EventTopics.RequestsDead, Token).Enumerate(Token);

        foreach (var kind in Kinds)
        {
            (await DeliverAsync(gateway, kind)).ShouldBe("""{"status":"SUCCESS"}""", kind.Name);

            (await dead.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
            var letter = dead.Current;
            letter.Extensions[DeadEvent.Code].ShouldBe(kind.Code, $"{kind.Name}: {letter.Extensions[DeadEvent.Reason]}");
            letter.Extensions[DeadEvent.Reason].ShouldContain(kind.Reason, Case.Sensitive, kind.Name);
            letter.Extensions.GetValueOrDefault(DeadEvent.Param).ShouldBe(kind.Param, kind.Name);
            letter.Extensions[DeadEvent.Topic].ShouldBe(EventTopics.Requests);
            if (kind.Code == "malformed_message") Encoding.UTF8.GetString(letter.Data.Span).ShouldBe(kind.Body, kind.Name);
        }

        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
        (await DeliverAsync(gateway, new Kind("a good one", Event(), "", ""))).ShouldBe("""{"status":"SUCCESS"}""");
        (await gateway.TakeAsync()).Request.Model.Value.ShouldBe("tiny");
    }

    [Fact]
    public async Task A_refused_event_comes_again_where_the_dead_letters_cannot_be_had()
    {
        var bus = new AwayBus();
        await using var gateway = await GatewayUnderTest.StartAsync(
            new() { ["APP_API_TOKEN"] = AppToken }, services => services.AddSingleton<IEventBus>(bus).AddDaprEvents(), map: app => app.MapGroup("").AllowAnonymous().MapDaprEvents());

        (await DeliverAsync(gateway, Kinds[0])).ShouldBe("""{"status":"RETRY"}""");
        bus.Error = ServingError.OutputTooLarge;
        (await DeliverAsync(gateway, Kinds[0])).ShouldBe("""{"status":"DROP"}""", "the sidecar puts it away itself, without a reason");
        bus.Error = null;
        (await DeliverAsync(gateway, Kinds[0])).ShouldBe("""{"status":"SUCCESS"}""");
    }

    [Fact]
    public async Task An_event_in_binary_mode_is_the_same_request_as_in_structured_mode()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["APP_API_TOKEN"] = AppToken }, services => services.AddDaprEvents(), map: app => app.MapGroup("").AllowAnonymous().MapDaprEvents());
        (string, string)[] headers = [("ce-specversion", "1.0"), ("ce-id", "order%207"), ("ce-source", "/shop"), ("ce-type", "asked"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];

        (await DeliverAsync(gateway, new Kind("binary", Good, "", "", "application/json", headers))).ShouldBe("""{"status":"SUCCESS"}""");
        var binary = await gateway.TakeAsync();
        (await DeliverAsync(gateway, new Kind("structured", $$"""{"specversion":"1.0","id":"order 7","source":"/shop","type":"asked","data":{{Good}}}""", "", ""))).ShouldBe("""{"status":"SUCCESS"}""");
        var structured = await gateway.TakeAsync();

        structured.Request.Id.ShouldBe(binary.Request.Id);
        Encoding.UTF8.GetString(binary.Request.Body.Span).ShouldBe("""{"model":"tiny","prompt":"x"}""");
    }

    private static async Task<string> DeliverAsync(GatewayUnderTest gateway, Kind kind)
    {
        using var answer = await gateway.PostAsync(DaprNames.EventsPath + EventTopics.Requests, kind.Body, Token, kind.ContentType, [(DaprNames.TokenHeader, AppToken), .. kind.Headers]);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK, kind.Name);
        return await answer.Content.ReadAsStringAsync(Token);
    }

    private static string Event(string data = Good) => $$"""{"specversion":"1.0","id":"e-{{Interlocked.Increment(ref _events)}}","source":"/shop","type":"asked","data":{{data}}}""";

    private static string With(string field) => Event(Good.Insert(1, field + ","));

    private sealed record Kind(string Name, string Body, string Code, string Reason, string ContentType, params (string Name, string Value)[] Headers)
    {
        public Kind(string name, string body, string code, string reason, string? param = null)
            : this(name, body, code, reason, param?.Contains('/', StringComparison.Ordinal) == true ? param : Structured, Headers: []) => Param = param?.Contains('/', StringComparison.Ordinal) == true ? null : param;

        /// <summary>The field at fault.</summary>
        public string? Param { get; }
    }

    private sealed class AwayBus : IEventBus
    {
        public ServingError? Error { get; set; } = ServingError.StoreUnavailable;

        public ValueTask PublishAsync(string topic, CloudEvent cloudEvent, CancellationToken cancellationToken) =>
            Error is { } error ? throw new ServingException(new ServingFault(error, "Away.")) : ValueTask.CompletedTask;
    }
}
