using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Callbacks;
using Serverless.Gateway.Requests;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Calls to clients when what an id promised has ended, over HTTP.</summary>
public sealed class CallbackTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Body = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";

    private static readonly Dictionary<string, string?> Settings = new()
    {
        ["Gateway:Callbacks:AllowedHosts:0"] = "127.0.0.1",
        ["Gateway:Callbacks:AllowHttp"] = "true",
        ["Gateway:Callbacks:AllowPrivateAddresses"] = "true",
        ["Gateway:Callbacks:Secrets:*"] = CallbackReceiver.Secret,
    };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_end_is_told_signed_under_one_id_and_again_when_that_is_asked_for()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        await using var gateway = await GatewayUnderTest.StartAsync(Settings);
        var held = await AskAsync(gateway, receiver.Url.AbsoluteUri);
        await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();

        await EndAsync(gateway, held);

        var call = await receiver.TakeAsync();
        (call.Path, call.Id, call.IsSigned).ShouldBe(("/hook", "evt_" + held.Request.Id.Value, true));
        call.Json["type"]!.GetValue<string>().ShouldBe("request.completed");
        call.Json["id"]!.GetValue<string>().ShouldBe(call.Id);
        call.Json["data"]!["id"]!.GetValue<string>().ShouldBe(held.Request.Id.Value);
        call.Json["data"]!["response"]!["choices"]![0]!["message"]!["content"]!.GetValue<string>().ShouldBe("Good day");
        (await SettledAsync(gateway, held)).GetRawText().ShouldBe($$"""{"url":"{{receiver.Url}}","status":"delivered","attempts":1}""");

        await EndAsync(gateway, held); // its message came again
        using var again = await gateway.AskAsync(HttpMethod.Post, $"/v1/requests/{held.Request.Id}/callback");
        again.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        (await receiver.TakeAsync()).Id.ShouldBe(call.Id);
        await SettledAsync(gateway, held);
        receiver.Count.ShouldBe(2);
    }

    [Fact]
    public async Task What_nobody_could_be_told_of_is_given_up_with_the_reason()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        receiver.Answer = http =>
        {
            http.Response.StatusCode = 410;
            return Task.CompletedTask;
        };
        await using var gateway = await GatewayUnderTest.StartAsync(Settings);
        var held = await AskAsync(gateway, receiver.Url.AbsoluteUri);
        await (await gateway.AskAsync(HttpMethod.Delete, $"/v1/requests/{held.Request.Id}")).Content.ReadAsStringAsync(Token);

        await EndAsync(gateway, held);

        (await receiver.TakeAsync()).Json["type"]!.GetValue<string>().ShouldBe("request.cancelled");
        var callback = await SettledAsync(gateway, held);
        (callback.GetProperty("status").GetString(), callback.GetProperty("error").GetString()).ShouldBe(("failed", "answered 410: it takes no more of them"));
    }

    [Theory]
    [InlineData("ftp://127.0.0.1/", "https://")]
    [InlineData("no url", "absolute URL")]
    [InlineData("http://elsewhere.example/", "AllowedHosts")]
    [InlineData("http://user:word@127.0.0.1/", "user")]
    [InlineData("http://127.0.0.1/#part", "fragment")]
    public async Task An_address_that_is_not_called_is_refused_at_the_door(string url, string reason)
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Settings);

        using var answer = await gateway.PostAsync(Chat, Body, ("Prefer", "respond-async"), ("X-Callback-Url", url));

        answer.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        var error = (await answer.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("error");
        error.GetProperty("param").GetString().ShouldBe("X-Callback-Url");
        error.GetProperty("message").GetString()!.ShouldContain(reason);
    }

    [Theory]
    [InlineData(null, "127.0.0.1", "respond-async", "AllowedHosts")]
    [InlineData("127.0.0.1", "127.0.0.1", "", "respond-async")]
    [InlineData("*", "169.254.169.254", "respond-async", "no public address")]
    [InlineData("*", "[::1]", "respond-async", "no public address")]
    public async Task By_itself_no_callback_is_made_and_none_to_where_only_this_machine_gets(string? allowed, string host, string prefer, string reason)
    {
        await using var gateway = await GatewayUnderTest.StartAsync(allowed is null ? [] : new() { ["Gateway:Callbacks:AllowedHosts:0"] = allowed, ["Gateway:Callbacks:Secrets:*"] = CallbackReceiver.Secret });

        using var answer = await gateway.PostAsync(Chat, Body, ("Prefer", prefer), ("X-Callback-Url", $"https://{host}/"));

        answer.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await answer.Content.ReadAsStringAsync(Token)).ShouldContain(reason);
    }

    [Fact]
    public async Task Without_a_secret_nothing_is_signed_so_nothing_is_taken()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new(Settings.Where(setting => setting.Key != "Gateway:Callbacks:Secrets:*")) { ["Gateway:Callbacks:Secrets:other"] = CallbackReceiver.Secret });

        using var answer = await gateway.PostAsync(Chat, Body, ("Prefer", "respond-async"), ("X-Callback-Url", "http://127.0.0.1/"));

        (await answer.Content.ReadAsStringAsync(Token)).ShouldContain("has no signing secret");
    }

    [Fact]
    public async Task One_that_was_not_asked_for_or_is_another_teams_cannot_be_made_again()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Settings);
        await gateway.PostAsync(Chat, Body, ("Prefer", "respond-async"));
        var held = await gateway.TakeAsync();

        using var none = await gateway.AskAsync(HttpMethod.Post, $"/v1/requests/{held.Request.Id}/callback");
        using var unknown = await gateway.AskAsync(HttpMethod.Post, "/v1/requests/chatcmpl-0/callback");

        none.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        unknown.StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task An_event_asks_for_one_too_and_it_is_made_once_however_often_the_event_comes()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        await using var gateway = await GatewayUnderTest.StartAsync(Settings);
        (await HandleAsync(gateway, receiver.Url.AbsoluteUri)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        var held = await gateway.TakeAsync();
        (await HandleAsync(gateway, receiver.Url.AbsoluteUri)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        await held.BeginAsync();
        await held.SayAsync("Good day", finish: FinishReason.Stop);
        await held.FinishAsync();

        await EndAsync(gateway, held);
        var call = await receiver.TakeAsync();
        var settled = await SettledAsync(gateway, held);
        (await HandleAsync(gateway, receiver.Url.AbsoluteUri)).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        await EndAsync(gateway, held); // its message came again

        (call.Id, call.IsSigned, call.Json["type"]!.GetValue<string>()).ShouldBe(("evt_" + held.Request.Id.Value, true, "request.completed"));
        call.Json["data"]!["event"]!.ToJsonString().ShouldBe("""{"source":"/shop","id":"e-1"}""");
        call.Json["data"]!["metadata"]!.ToJsonString().ShouldBe("""{"order":7}""");
        settled.GetProperty("status").GetString().ShouldBe("delivered");
        receiver.Count.ShouldBe(1);
    }

    [Theory]
    [InlineData("http://elsewhere.example/", "AllowedHosts")]
    [InlineData("no url", "absolute URL")]
    public async Task An_event_that_asks_for_one_where_none_is_made_is_put_away_with_the_reason(string url, string reason)
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Settings);

        var refused = await HandleAsync(gateway, url);

        (refused.Answer, refused.Fault!.Param).ShouldBe((BrokerAnswer.DeadLetter, "callback"));
        refused.Fault.Message.ShouldContain(reason);
        gateway.Queue.Requests.TryRead(out _).ShouldBeFalse();
    }

    private static ValueTask<BrokerVerdict> HandleAsync(GatewayUnderTest gateway, string callback) =>
        gateway.Services.GetServices<IEventHandler>().Single(handler => handler.Topics.Contains(EventTopics.Requests)).HandleAsync(
            new CloudEvent { Id = "e-1", Source = "/shop", Type = "shop.asked", Data = JsonSerializer.SerializeToUtf8Bytes(new { endpoint = Chat, body = JsonElement.Parse(Body), callback, metadata = new { order = 7 } }) }, Token);

    private static async Task<HeldRequest> AskAsync(GatewayUnderTest gateway, string url)
    {
        using var promised = await gateway.PostAsync(Chat, Body, ("Prefer", "respond-async"), ("X-Callback-Url", url));
        promised.StatusCode.ShouldBe(HttpStatusCode.Accepted, await promised.Content.ReadAsStringAsync(Token));
        return await gateway.TakeAsync();
    }

    /// <summary>As its dispatcher tells of the end.</summary>
    private static async Task EndAsync(GatewayUnderTest gateway, HeldRequest held)
    {
        foreach (var observer in gateway.Services.GetServices<IEndObserver>()) (await observer.EndedAsync(new RequestEnd(held.Request, RequestOutcome.Finished, new TokenUsage(5, 2)), Token)).ShouldBeTrue();
    }

    /// <summary>The callback as the request shows it, once it is no longer tried.</summary>
    private static async Task<JsonElement> SettledAsync(GatewayUnderTest gateway, HeldRequest held)
    {
        var outbox = gateway.Services.GetRequiredService<CallbackOutbox>();
        using var limit = new CancellationTokenSource(TestTimeouts.Default, TimeProvider.System);
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        while (await outbox.FindAsync(held.Request.Id.Value, Token) is not null) await pace.WaitForNextTickAsync(limit.Token);

        using var answer = await gateway.AskAsync(HttpMethod.Get, $"/v1/requests/{held.Request.Id}");
        return (await answer.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("callback");
    }

    [Fact]
    public async Task One_that_waits_for_its_next_try_is_made_at_once_when_that_is_asked_for()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        receiver.Answer = http =>
        {
            http.Response.StatusCode = receiver.Count == 1 ? 503 : 204;
            http.Response.Headers.RetryAfter = "3600";
            return Task.CompletedTask;
        };
        await using var gateway = await GatewayUnderTest.StartAsync(Settings);
        var held = await AskAsync(gateway, receiver.Url.AbsoluteUri);
        await (await gateway.AskAsync(HttpMethod.Delete, $"/v1/requests/{held.Request.Id}")).Content.ReadAsStringAsync(Token);
        await EndAsync(gateway, held);
        await receiver.TakeAsync();
        var outbox = gateway.Services.GetRequiredService<CallbackOutbox>();
        await BatchScene.UntilAsync(async () => (await outbox.FindAsync(held.Request.Id.Value, Token))?.Due.Attempts == 1);

        using var again = await gateway.AskAsync(HttpMethod.Post, $"/v1/requests/{held.Request.Id}/callback");

        await receiver.TakeAsync();
        (await SettledAsync(gateway, held)).GetProperty("status").GetString().ShouldBe("delivered");
    }

    [Fact]
    public async Task What_ends_here_is_called_without_a_look_at_all_that_wait()
    {
        await using var receiver = await CallbackReceiver.StartAsync();
        var backend = new Backend(new TestClock());
        await using var gateway = await GatewayUnderTest.StartAsync(Settings, backend: backend);
        int Lists() => backend.Documents.Reads.Count(read => read == "callbacks");
        await BatchScene.UntilAsync(() => Task.FromResult(Lists() == 1)); // once when it starts, then every ten seconds

        var (records, outbox, delivery) = (gateway.Services.GetRequiredService<RequestRecords>(), gateway.Services.GetRequiredService<CallbackOutbox>(), gateway.Services.GetRequiredService<CallbackDelivery>());
        for (var call = 0; call < 5; call++)
        {
            var (id, owner, now) = ($"chatcmpl-{call}", new Owner("acme", "team", "key"), backend.Time.GetUtcNow());
            await records.CreateAsync(
                new RequestRecord { Id = id, Endpoint = EndpointName.ChatCompletions, Model = "tiny", Owner = owner, CreatedAt = now, Deadline = now, Status = RequestStatus.Cancelled, EndedAt = now, Callback = new CallbackState(receiver.Url.AbsoluteUri, CallbackStatus.Pending) }, Token);
            await outbox.AddAsync(new DueCallback(id, owner, now, now, 0), Token);
            delivery.Look(id);
            (await receiver.TakeAsync()).Id.ShouldBe("evt_" + id);
            await BatchScene.UntilAsync(async () => await outbox.FindAsync(id, Token) is null);
        }

        Lists().ShouldBe(1);
    }
}
