using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Serverless.Errors;
using Serverless.Hosting.Keys;
using Serverless.Requests;
using Serverless.Tenancy;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>API keys, and what belongs to whom.</summary>
public sealed class OwnerTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Whole = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";

    private static readonly (string Key, string Line) Acme = ApiKeyTable.Create("acme", "research", admin: false);
    private static readonly (string Key, string Line) Colleague = ApiKeyTable.Create("acme", "research", admin: false);
    private static readonly (string Key, string Line) Rival = ApiKeyTable.Create("acme", "sales", admin: false);
    private static readonly (string Key, string Line) Admin = ApiKeyTable.Create("ops", "ops", admin: true);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null)]
    [InlineData("Bearer sk-unknown")]
    [InlineData("Basic c2s6")]
    public async Task Nobody_is_served_without_a_known_key(string? authorization)
    {
        await using var gateway = await StartAsync();
        (string, string)[] headers = authorization is null ? [] : [("Authorization", authorization)];

        foreach (var (method, path) in new[] { ("POST", Chat), ("GET", "/v1/models"), ("GET", "/v1/models/tiny"), ("GET", "/v1/requests"), ("GET", "/v1/requests/x"), ("DELETE", "/v1/requests/x"), ("GET", "/v1/requests/x/events"), ("GET", "/admin/pools") })
        {
            var answer = method == "POST" ? await gateway.PostAsync(path, Whole, headers) : await gateway.AskAsync(new HttpMethod(method), path, headers);
            answer.StatusCode.ShouldBe(HttpStatusCode.Unauthorized, $"{method} {path}");
            var body = await answer.Content.ReadAsStringAsync(Token);
            body.ShouldContain("invalid_api_key");
            body.ShouldNotContain("sk-unknown");
        }

        (await gateway.AskAsync(HttpMethod.Get, "/healthz")).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await gateway.AskAsync(HttpMethod.Get, "/readyz")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Admin_routes_are_for_admins()
    {
        await using var gateway = await StartAsync();

        (await gateway.AskAsync(HttpMethod.Get, "/admin/pools", Bearer(Acme))).StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        (await gateway.AskAsync(HttpMethod.Get, "/admin/pools", Bearer(Admin))).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_foreign_request_is_not_there()
    {
        await using var gateway = await StartAsync();
        await gateway.PostAsync(Chat, Whole, Bearer(Acme), ("Prefer", "respond-async"));
        var promised = await gateway.TakeAsync();
        promised.Request.Owner.ShouldBe(new Owner("acme", "research", Acme.Line.Split(' ')[1]));
        using var running = await gateway.PostAsync(Chat, Whole.Replace("}]}", """}],"stream":true}""", StringComparison.Ordinal), Bearer(Acme), ("Prefer", "resume=30"));
        var streamed = await gateway.TakeAsync();

        foreach (var held in new[] { promised, streamed })
        {
            var path = "/v1/requests/" + held.Request.Id;
            foreach (var foreign in new[] { Rival, Admin })
            {
                (await gateway.AskAsync(HttpMethod.Get, path, Bearer(foreign))).StatusCode.ShouldBe(HttpStatusCode.NotFound);
                (await gateway.AskAsync(HttpMethod.Delete, path, Bearer(foreign))).StatusCode.ShouldBe(HttpStatusCode.NotFound);
                (await gateway.AskAsync(HttpMethod.Get, path + "/events", Bearer(foreign))).StatusCode.ShouldBe(HttpStatusCode.NotFound);
            }

            (await gateway.AskAsync(HttpMethod.Get, path, Bearer(Colleague))).StatusCode.ShouldBe(HttpStatusCode.OK);
        }

        (await (await gateway.AskAsync(HttpMethod.Get, "/v1/requests", Bearer(Rival))).Content.ReadAsStringAsync(Token)).ShouldNotContain(promised.Request.Id.Value);
        (await gateway.Log.ReadHeadAsync(promised.Request.Id, Token))!.Ended.ShouldBeFalse();
    }

    [Fact]
    public async Task An_idempotency_key_is_its_owners()
    {
        await using var gateway = await StartAsync();
        var first = gateway.PostAsync(Chat, Whole, Bearer(Acme), ("Idempotency-Key", "one"));
        var held = await gateway.TakeAsync();

        var foreign = gateway.PostAsync(Chat, Whole, Bearer(Rival), ("Idempotency-Key", "one"));
        var other = await gateway.TakeAsync();

        other.Request.Id.ShouldNotBe(held.Request.Id);
        other.Request.Owner.Team.ShouldBe("sales");
        foreach (var each in new[] { held, other })
        {
            await each.BeginAsync();
            await each.FinishAsync();
        }

        (await first).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await foreign).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public void A_changed_file_of_keys_is_read_again_and_a_faulty_one_changes_nothing()
    {
        var path = Path.GetTempFileName();
        try
        {
            var time = new TestClock();
            File.WriteAllText(path, Acme.Line);
            var source = new FileApiKeySource(path, time, NullLogger<FileApiKeySource>.Instance);
            source.Current!.Find(Acme.Key).ShouldNotBeNull();

            File.WriteAllText(path, $"# keys\n{Acme.Line}\n{Rival.Line}  # the others\n");
            time.Advance(TimeSpan.FromSeconds(1));
            source.Current!.Find(Rival.Key)!.Owner.Team.ShouldBe("sales");

            File.WriteAllText(path, "nonsense");
            time.Advance(TimeSpan.FromSeconds(1));
            source.Current!.Find(Acme.Key).ShouldNotBeNull();

            File.WriteAllText(path, Rival.Line);
            time.Advance(TimeSpan.FromSeconds(1));
            source.Current!.Find(Acme.Key).ShouldBeNull();
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public async Task Neither_prompts_nor_answers_nor_keys_are_ever_logged()
    {
        var logs = new FakeLogCollector();
        await using var gateway = await StartAsync(services => services.AddSingleton<ILoggerProvider>(new FakeLoggerProvider(logs)).AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace)));
        const string Secret = "xyzzy-prompt";
        var body = $$"""{"model":"tiny","messages":[{"role":"user","content":"{{Secret}}"}]}""";
        var key = ("Idempotency-Key", "xyzzy-idempotency");

        var answered = gateway.PostAsync(Chat, body, Bearer(Acme), key);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("xyzzy-answer", finish: FinishReason.Stop);
        await held.FinishAsync();
        await answered;
        await gateway.PostAsync(Chat, body, Bearer(Acme), key);
        await gateway.PostAsync(Chat, body.Replace("messages", "xyzzy-field", StringComparison.Ordinal), Bearer(Acme));
        await gateway.PostAsync(Chat, $"{{\"model\": {Secret}", Bearer(Acme));
        await gateway.PostAsync(Chat, body, ("Authorization", "Bearer xyzzy-key"));
        await gateway.PostAsync(Chat, body, Bearer(Acme), ("Prefer", "respond-async"));
        var failed = await gateway.TakeAsync();
        await failed.BeginAsync();
        await failed.FailAsync(ServingError.EngineFailed, "The engine fell over.");
        await gateway.AskAsync(HttpMethod.Get, "/v1/requests/" + failed.Request.Id, Bearer(Acme));
        gateway.Backend.Log.Away = true;
        await gateway.PostAsync(Chat, body, Bearer(Acme), ("X-Request-Timeout", "0.1"));

        var text = new StringBuilder();
        foreach (var log in logs.GetSnapshot()) text.Append(log.Message).Append(log.Exception).AppendJoin(' ', (log.StructuredState ?? []).Select(pair => pair.Value));
        text.Length.ShouldBeGreaterThan(1000);
        text.ToString().ShouldNotContain("xyzzy");
        foreach (var secret in new[] { Acme.Key, Acme.Key[^16..] }) text.ToString().ShouldNotContain(secret);
    }

    private static (string, string) Bearer((string Key, string Line) key) => ("Authorization", "Bearer " + key.Key);

    private static Task<GatewayUnderTest> StartAsync(Action<IServiceCollection>? configure = null) => GatewayUnderTest.StartAsync(configure: services =>
    {
        services.AddSingleton<IApiKeySource>(new FixedKeys(ApiKeyTable.Parse(string.Join('\n', Acme.Line, Colleague.Line, Rival.Line, Admin.Line))));
        configure?.Invoke(services);
    });

    private sealed class FixedKeys(ApiKeyTable table) : IApiKeySource
    {
        public ApiKeyTable? Current => table;
    }
}
