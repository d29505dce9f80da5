using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using Serverless.Events;
using Serverless.Gateway.Telemetry;
using Serverless.Hosting.Dapr;
using Serverless.Tenancy;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Who comes in: closed by default.</summary>
public sealed class DoorTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Whole = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";

    private static readonly (string Key, string Line) Key = ApiKeyTable.Create("acme", "research", admin: false);
    private static readonly (string Key, string Line) Admin = ApiKeyTable.Create("ops", "ops", admin: true);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_route_that_says_nothing_needs_a_key()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(configure: WithKeys, map: routes => routes.MapGet("/v1/new", () => "new"));

        (await gateway.AskAsync(HttpMethod.Get, "/v1/new")).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        (await gateway.AskAsync(HttpMethod.Get, "/v1/new", Bearer(Key))).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await gateway.AskAsync(HttpMethod.Get, "/v1/not-there")).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        (await gateway.AskAsync(HttpMethod.Get, "/v1/not-there", Bearer(Key))).StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Theory]
    [InlineData("/admin/pools")]
    [InlineData("/admin/events")]
    [InlineData("/metrics")]
    public async Task What_is_for_operators_needs_an_admins_key(string path)
    {
        await using var gateway = await GatewayUnderTest.StartAsync(configure: WithKeys);

        (await gateway.AskAsync(HttpMethod.Get, path)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        var forbidden = await gateway.AskAsync(HttpMethod.Get, path, Bearer(Key));
        forbidden.StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        (await forbidden.Content.ReadAsStringAsync(Token)).ShouldContain("not_permitted");
        (await gateway.AskAsync(HttpMethod.Get, path, Bearer(Admin))).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    /// <summary>Nobody needs a key to fill a disk with our lines: the framework's handler would write two for each of these, without a bound, under our name.</summary>
    [Fact]
    public async Task Calls_without_a_right_are_told_like_every_refusal_with_a_bound()
    {
        var logs = new FakeLogCollector();
        await using var gateway = await GatewayUnderTest.StartAsync(
            configure: services => WithKeys(services.AddSingleton<ILoggerProvider>(new FakeLoggerProvider(logs)).AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace))),
            backend: new Backend(new TestClock(DateTimeOffset.UnixEpoch)));

        for (var i = 0; i < 2 * RefusalLog.Most; i++) (await gateway.AskAsync(HttpMethod.Get, "/v1/models")).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        (await gateway.AskAsync(HttpMethod.Get, "/admin/pools", Bearer(Key))).StatusCode.ShouldBe(HttpStatusCode.Forbidden);

        var ours = logs.GetSnapshot().Where(line => line.Category!.StartsWith("Serverless.Gateway", StringComparison.Ordinal)).ToList();
        ours.Count.ShouldBe(RefusalLog.Most);
        ours.ShouldAllBe(line => line.Message.Contains(" is refused with 401 invalid_api_key: You didn't provide an API key."));
    }

    [Fact]
    public async Task Operators_may_have_a_port_of_their_own()
    {
        using var free = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var url = new Uri($"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}");
        free.Stop();
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["Gateway:Access:AdminUrl"] = url.ToString() }, WithKeys);
        using var operators = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = url };

        (await operators.GetAsync("/metrics", Token)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await operators.GetAsync("/admin/pools", Token)).StatusCode.ShouldBe(HttpStatusCode.OK);
        using var rebound = new HttpRequestMessage(HttpMethod.Get, "/admin/pools") { Headers = { Host = "evil.example" } };
        (await operators.SendAsync(rebound, Token)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized, "a page under its own name");
        using var foreign = new HttpRequestMessage(HttpMethod.Get, "/admin/pools") { Headers = { { "Origin", "https://evil.example" } } };
        (await operators.SendAsync(foreign, Token)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized, "a page of another site");
        (await operators.GetAsync("/v1/models", Token)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized, "whoever wants to be served needs a key there too");
        (await gateway.AskAsync(HttpMethod.Get, "/metrics")).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Theory]
    [InlineData("evil.example")]
    [InlineData("192.168.1.7:8080")]
    public async Task Without_keys_a_page_cannot_come_in_under_a_foreign_name(string host)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        (await gateway.AskAsync(HttpMethod.Get, "/v1/models", ("Host", host))).StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await gateway.PostAsync(Chat, Whole, ("Host", host))).StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        foreach (var local in new[] { "localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8080" })
        {
            (await gateway.AskAsync(HttpMethod.Get, "/v1/models", ("Host", local))).StatusCode.ShouldBe(HttpStatusCode.OK, local);
        }
    }

    [Fact]
    public async Task No_page_of_another_origin_is_told_that_it_may_read()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        var answer = await gateway.AskAsync(HttpMethod.Get, "/v1/models", ("Origin", "https://evil.example"));

        answer.Headers.ShouldNotContain(header => header.Key.StartsWith("Access-Control", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Without_keys_only_this_machine_is_served_unless_the_operator_says_otherwise()
    {
        await using var closed = await GatewayUnderTest.StartAsync(configure: FromElsewhere);
        var refused = await closed.AskAsync(HttpMethod.Get, "/v1/models");
        refused.StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        (await refused.Content.ReadAsStringAsync(Token)).ShouldContain("Gateway:Access:AllowAnonymous");
        (await closed.AskAsync(HttpMethod.Get, "/healthz")).StatusCode.ShouldBe(HttpStatusCode.OK);

        await using var open = await GatewayUnderTest.StartAsync(new() { ["Gateway:Access:AllowAnonymous"] = "true" }, FromElsewhere);
        (await open.AskAsync(HttpMethod.Get, "/v1/models", ("Host", "gateway.internal"))).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await open.AskAsync(HttpMethod.Get, "/admin/pools")).StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        (await open.AskAsync(HttpMethod.Get, "/metrics")).StatusCode.ShouldBe(HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task What_a_proxy_on_this_machine_passes_on_is_not_of_this_machine()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        (await gateway.AskAsync(HttpMethod.Get, "/v1/models", ("X-Forwarded-For", "203.0.113.7"))).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task A_key_may_have_so_many_requests_open_and_no_more()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["Gateway:Access:MaxOpenRequestsPerKey"] = "1" }, WithKeys);
        var first = gateway.PostAsync(Chat, Whole, Bearer(Key));
        var held = await gateway.TakeAsync();

        var refused = await gateway.PostAsync(Chat, Whole, Bearer(Key));

        refused.StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
        (await refused.Content.ReadAsStringAsync(Token)).ShouldContain("too_many_open_requests");
        var other = gateway.PostAsync(Chat, Whole, Bearer(Admin));
        foreach (var each in new[] { held, await gateway.TakeAsync() })
        {
            await each.BeginAsync();
            await each.FinishAsync();
        }

        (await first).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await other).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_stream_that_is_followed_by_its_id_is_open_like_any_other()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["Gateway:Access:MaxOpenRequestsPerKey"] = "1" }, WithKeys);
        var first = gateway.PostAsync(Chat, Whole, Bearer(Key));
        var held = await gateway.TakeAsync();

        var refused = await gateway.AskAsync(HttpMethod.Get, ResumeTests.EventsOf(held), Bearer(Key));

        refused.StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
        (await refused.Content.ReadAsStringAsync(Token)).ShouldContain("too_many_open_requests");
        await held.BeginAsync();
        await held.FinishAsync();
        (await first).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("Via", "1.1 edge")]
    [InlineData("Forwarded", "for=203.0.113.7")]
    [InlineData("X-Real-IP", "203.0.113.7")]
    [InlineData("x-forwarded-host", "gateway.example")]
    [InlineData("X-Forwarded-Proto", "https")]
    [InlineData("CF-Connecting-IP", "203.0.113.7")]
    public async Task Whatever_a_proxy_on_this_machine_says_of_itself_shows_that_it_is_one(string header, string value)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        (await gateway.AskAsync(HttpMethod.Get, "/v1/models", (header, value))).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        (await gateway.AskAsync(HttpMethod.Get, "/admin/pools", (header, value))).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task A_proxy_that_says_nothing_is_known_by_the_http_of_old_that_it_speaks()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        using var old = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Version = HttpVersion.Version10, VersionPolicy = HttpVersionPolicy.RequestVersionExact };

        (await gateway.Client.SendAsync(old, Token)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task A_host_of_any_name_is_none_that_makes_a_call_local()
    {
        await using var closed = await GatewayUnderTest.StartAsync(new() { ["AllowedHosts"] = "*" });
        (await closed.AskAsync(HttpMethod.Get, "/v1/models", ("Host", "evil.example"))).StatusCode.ShouldBe(HttpStatusCode.BadRequest);

        await using var named = await GatewayUnderTest.StartAsync(new() { ["AllowedHosts"] = "gpu-box;localhost" });
        (await named.AskAsync(HttpMethod.Get, "/v1/models", ("Host", "gpu-box:8080"))).StatusCode.ShouldBe(HttpStatusCode.OK);

        await using var open = await GatewayUnderTest.StartAsync(new() { ["Gateway:Access:AllowAnonymous"] = "true" });
        (await open.AskAsync(HttpMethod.Get, "/v1/models", ("Host", "evil.example"))).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await open.AskAsync(HttpMethod.Get, "/admin/pools", ("Host", "evil.example"))).StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        (await open.AskAsync(HttpMethod.Get, "/admin/pools")).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task The_operators_address_is_more_than_its_port()
    {
        using var free = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var port = ((IPEndPoint)free.LocalEndpoint).Port;
        free.Stop();
        await using var gateway = await GatewayUnderTest.StartAsync(
            new() { ["Gateway:Access:AdminUrl"] = $"http://127.0.0.2:{port}" },
            services => WithKeys(services.Configure<KestrelServerOptions>(kestrel => kestrel.Listen(IPAddress.Loopback, port))));
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });

        (await http.GetAsync(new Uri($"http://127.0.0.2:{port}/metrics"), Token)).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await http.GetAsync(new Uri($"http://127.0.0.1:{port}/metrics"), Token)).StatusCode.ShouldBe(HttpStatusCode.Unauthorized, "clients come in there");
    }

    [Theory]
    [InlineData("127.0.0.1", "application/cloudevents+json", null, true)]
    [InlineData("127.0.0.1", "application/cloudevents+json; charset=utf-8", null, true)]
    [InlineData("127.0.0.1", "text/plain", null, false)]
    [InlineData("127.0.0.1", "application/json", null, false)]
    [InlineData("127.0.0.1", "application/cloudevents+json", "203.0.113.7", false)]
    [InlineData("203.0.113.7", "application/cloudevents+json", null, false)]
    public async Task Without_a_token_only_the_sidecar_of_this_machine_delivers_events(string from, string contentType, string? forwardedFor, bool taken)
    {
        var receiver = new DaprEventReceiver([], new MemoryEventBus(TimeProvider.System), new ConfigurationBuilder().Build(), Options.Create(new DaprOptions()), NullLogger<DaprEventReceiver>.Instance);
        var http = new DefaultHttpContext();
        http.Connection.RemoteIpAddress = IPAddress.Parse(from);
        http.Request.ContentType = contentType;
        http.Request.RouteValues["topic"] = "serverless.results";
        if (forwardedFor is not null) http.Request.Headers["X-Forwarded-For"] = forwardedFor;

        await receiver.ReceiveAsync(http);

        http.Response.StatusCode.ShouldBe(taken ? 200 : 401);
    }

    private static (string, string) Bearer((string Key, string Line) key) => ("Authorization", "Bearer " + key.Key);

    private static void WithKeys(IServiceCollection services) => services.AddSingleton<IApiKeySource>(new FixedKeys(ApiKeyTable.Parse($"{Key.Line}\n{Admin.Line}")));

    /// <summary>Every connection comes from another machine.</summary>
    private static void FromElsewhere(IServiceCollection services) => services.AddSingleton<IStartupFilter>(new Elsewhere());

    private sealed class FixedKeys(ApiKeyTable table) : IApiKeySource
    {
        public ApiKeyTable? Current => table;
    }

    private sealed class Elsewhere : IStartupFilter
    {
        public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
        {
            app.Use(static (HttpContext http, RequestDelegate then) =>
            {
                http.Connection.RemoteIpAddress = IPAddress.Parse("203.0.113.7");
                return then(http);
            });
            next(app);
        };
    }
}
