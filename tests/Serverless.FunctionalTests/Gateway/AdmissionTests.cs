using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Demand;
using Serverless.Gateway.Admission;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Serverless.Tenancy;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>At the door, over a real connection: what one key may cost a gateway, and which lanes it may take.</summary>
public sealed class AdmissionTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Hello = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";

    private static readonly (string Key, string Line) Acme = ApiKeyTable.Create("acme", "research", admin: false);
    private static readonly (string Key, string Line) Fast = ApiKeyTable.Create("fast", "research", admin: false, "realtime");
    private static readonly (string Key, string Line) Slow = ApiKeyTable.Create("slow", "research", admin: false, "batch");

    /// <summary>Room for four of the longest bodies, so for two of one organization.</summary>
    private static readonly Dictionary<string, string?> Narrow = new() { ["Gateway:Admission:MaxBodyBytes"] = "2048", ["Gateway:Admission:MaxTotalBytes"] = "8192" };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Bodies_beyond_an_organizations_half_are_refused_unread_while_another_is_served_and_all_bytes_come_back()
    {
        await using var gateway = await StartAsync(Narrow);
        var bodies = gateway.Services.GetRequiredService<RequestBody>();
        using var first = await BeginAsync(gateway, Acme, 2048);
        using var second = await BeginAsync(gateway, Acme, 2048);
        bodies.Held.ShouldBe(4096);

        // Who asks first is told at once; who does not is heard to the end, or it would lose the answer.
        using var third = await ConnectAsync(gateway, Acme, "Content-Length: 2000\r\nExpect: 100-continue");
        var answer = await ReadAsync(third, "\"code\"");
        answer.ShouldStartWith("HTTP/1.1 429 ");
        answer.ShouldContain("Retry-After: 5");
        answer.ShouldContain("4096 of 8192 bytes");
        (await gateway.PostAsync(Chat, Hello.Replace("Hello", new string('x', 1900), StringComparison.Ordinal), Bearer(Acme))).StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);

        var other = gateway.PostAsync(Chat, Hello, Bearer(Fast));
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.FinishAsync();
        (await other).StatusCode.ShouldBe(HttpStatusCode.OK);

        foreach (var client in new[] { first, second })
        {
            await SendAsync(client, new string(' ', 2048));
            (await ReadAsync(client, "\"code\"")).ShouldStartWith("HTTP/1.1 400 ");

            // The next request of a connection is read once the one before has given everything back.
            await SendAsync(client, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
            (await ReadAsync(client, "\r\n\r\n")).ShouldStartWith("HTTP/1.1 200 ");
        }

        using var last = await BeginAsync(gateway, Acme, 2048);
        bodies.Held.ShouldBeLessThan(4096);
    }

    [Fact]
    public async Task A_body_whose_length_is_not_told_is_taken_as_it_grows()
    {
        await using var gateway = await StartAsync(new() { ["Gateway:Admission:MaxBodyBytes"] = "65536", ["Gateway:Admission:MaxTotalBytes"] = "131072" });
        using var first = await BeginAsync(gateway, Acme, 40_000);
        using var client = await ConnectAsync(gateway, Acme, "Transfer-Encoding: chunked");

        await SendAsync(client, $"{60_000:x}\r\n{new string(' ', 60_000)}\r\n0\r\n\r\n");

        (await ReadAsync(client, "\"code\"")).ShouldStartWith("HTTP/1.1 429 ");
    }

    [Fact]
    public async Task A_chunked_body_is_read_whole()
    {
        await using var gateway = await StartAsync();
        var long_ = Hello.Replace("Hello", new string('x', 9000), StringComparison.Ordinal);
        using var message = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes(long_))) { Headers = { ContentType = new("application/json") } } };
        message.Headers.TransferEncodingChunked = true;
        message.Headers.Authorization = new("Bearer", Acme.Key);

        var response = gateway.Client.SendAsync(message, Token);
        var held = await gateway.TakeAsync();
        Encoding.UTF8.GetString(held.Request.Body.Span).ShouldBe(long_);
        await held.BeginAsync();
        await held.FinishAsync();
        (await response).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Too_little_room_for_the_longest_body_stops_the_start() =>
        (await Should.ThrowAsync<Exception>(() => StartAsync(new() { ["Gateway:Admission:MaxTotalBytes"] = "20000000" }))).Message.ShouldContain("at least twice MaxBodyBytes");

    [Fact]
    public async Task Priority_is_a_right_of_the_key_and_flex_everybodys()
    {
        await using var gateway = await StartAsync();
        var priority = Hello.Replace("{\"model\"", "{\"service_tier\":\"priority\",\"model\"", StringComparison.Ordinal);
        var flex = Hello.Replace("{\"model\"", "{\"service_tier\":\"flex\",\"model\"", StringComparison.Ordinal);

        var refused = await gateway.PostAsync(Chat, priority, Bearer(Acme));
        refused.StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        var error = (await refused.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("error");
        error.GetProperty("param").GetString().ShouldBe("service_tier");
        error.GetProperty("message").GetString()!.ShouldContain("lane=realtime");

        (await LaneAsync(gateway, priority, Fast)).ShouldBe((Lane.Realtime, "priority"));
        (await LaneAsync(gateway, Hello, Fast)).ShouldBe((Lane.Interactive, "default"));
        (await LaneAsync(gateway, flex, Acme)).ShouldBe((Lane.Batch, "flex"));
        (await LaneAsync(gateway, Hello, Slow)).ShouldBe((Lane.Batch, "flex"));
    }

    [Fact]
    public async Task A_request_is_not_refused_for_another_organizations_backlog()
    {
        await using var gateway = await StartAsync();
        gateway.Services.GetRequiredService<ICapacityFeed>().Publish(new PoolCapacity { Pool = GatewayUnderTest.Model.Pools[0].Name, Desired = 1, Ready = 1 });
        gateway.Services.GetRequiredService<IDemandFeed>().Publish(new ModelDemand
        {
            Model = GatewayUnderTest.Model.Name,
            At = TimeProvider.System.GetUtcNow(),
            PendingRequests = 2000,
            PendingPromptTokens = 8_000_000,
            PendingTokensByLane = [0, 8_000_000, 0],
            PendingByOrganization = [new PendingShare("acme", 2000, 8_000_000)],
            ServedTokensPerSecond = 100,
        });

        (await gateway.PostAsync(Chat, Hello, Bearer(Acme))).StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        (await LaneAsync(gateway, Hello, Fast)).ShouldBe((Lane.Interactive, "default"));
    }

    private static async Task<(Lane Lane, string Tier)> LaneAsync(GatewayUnderTest gateway, string body, (string Key, string Line) key)
    {
        var response = gateway.PostAsync(Chat, body, Bearer(key));
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.FinishAsync();
        using var answer = await response;
        return (held.Request.Lane, (await answer.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("service_tier").GetString()!);
    }

    private static (string, string) Bearer((string Key, string Line) key) => ("Authorization", "Bearer " + key.Key);

    /// <summary>A request whose body does not come, once the gateway waits for it.</summary>
    private static async Task<TcpClient> BeginAsync(GatewayUnderTest gateway, (string Key, string Line) key, int length)
    {
        var client = await ConnectAsync(gateway, key, $"Content-Length: {length}\r\nExpect: 100-continue");
        (await ReadAsync(client, "\r\n\r\n")).ShouldStartWith("HTTP/1.1 100 ");
        return client;
    }

    private static async Task<TcpClient> ConnectAsync(GatewayUnderTest gateway, (string Key, string Line) key, string headers)
    {
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, gateway.Client.BaseAddress!.Port, Token);
        await SendAsync(client, $"POST {Chat} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.Key}\r\nContent-Type: application/json\r\n{headers}\r\n\r\n");
        return client;
    }

    private static async Task SendAsync(TcpClient client, string text) => await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(text), Token);

    /// <summary>Reads until that has come, or the end.</summary>
    private static async Task<string> ReadAsync(TcpClient client, string until)
    {
        var (text, buffer) = (new StringBuilder(), new byte[4096]);
        while (!text.ToString().Contains(until, StringComparison.Ordinal))
        {
            var count = await client.GetStream().ReadAsync(buffer, Token).WithinLimitAsync();
            if (count == 0) break;
            text.Append(Encoding.UTF8.GetString(buffer, 0, count));
        }

        return text.ToString();
    }

    private static Task<GatewayUnderTest> StartAsync(Dictionary<string, string?>? settings = null) => GatewayUnderTest.StartAsync(
        settings, services => services.AddSingleton<IApiKeySource>(new FixedKeys(ApiKeyTable.Parse($"{Acme.Line}\n{Fast.Line}\n{Slow.Line}"))));

    private sealed class FixedKeys(ApiKeyTable table) : IApiKeySource
    {
        public ApiKeyTable? Current => table;
    }
}
