using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Hosting.Dapr;
using Shouldly;

namespace Serverless.EndToEndTests.Dapr;

/// <summary><c>dapr-api-token</c>, both ways: what has it is served, what lacks it is not.</summary>
public sealed class DaprTokenTests(DaprEvents events) : IClassFixture<DaprEvents>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(null, HttpStatusCode.Unauthorized)]
    [InlineData("", HttpStatusCode.Unauthorized)]
    [InlineData("another token", HttpStatusCode.Unauthorized)]
    [InlineData(DaprEvents.AppToken, HttpStatusCode.OK)]
    public async Task An_event_is_taken_from_our_sidecar_alone(string? token, HttpStatusCode expected)
    {
        Assert.SkipWhen(DaprEvents.Absent is not null, DaprEvents.Absent ?? "");
        await events.StartAsync();
        events.Handler = new Taker();
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(events.AppAddress, DaprNames.EventsPath + EventTopics.Requests))
        {
            Content = JsonContent.Create(new { specversion = "1.0", id = "1", source = "/s", type = "t", data = new { } }),
        };
        if (token is not null) request.Headers.Add(DaprNames.TokenHeader, token);

        using var answer = await http.SendAsync(request, Token);

        answer.StatusCode.ShouldBe(expected);
    }

    [Fact]
    public async Task The_sidecar_takes_nothing_without_its_token()
    {
        Assert.SkipWhen(DaprEvents.Absent is not null, DaprEvents.Absent ?? "");
        await events.StartAsync();
        using var http = new HttpClient();

        using var answer = await http.GetAsync(new Uri(events.Sidecar.HttpAddress, "/v1.0/metadata"), Token);

        answer.StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("{\"id\":\"1\"}")]
    public async Task What_is_no_event_lies_among_the_dead_letters_with_the_reason(string body)
    {
        Assert.SkipWhen(DaprEvents.Absent is not null, DaprEvents.Absent ?? "");
        await events.StartAsync();
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(events.AppAddress, DaprNames.EventsPath + EventTopics.Requests)) { Content = new StringContent(body) };
        request.Headers.Add(DaprNames.TokenHeader, DaprEvents.AppToken);

        using var answer = await http.SendAsync(request, Token);

        (await answer.Content.ReadAsStringAsync(Token)).ShouldBe("""{"status":"SUCCESS"}""");
        var dead = await events.DeadLetterAsync(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(body)).AsSpan(0, 16)));
        dead.Extensions[DeadEvent.Code].ShouldBe("malformed_message");
        dead.Extensions[DeadEvent.Topic].ShouldBe(EventTopics.Requests);
        Encoding.UTF8.GetString(dead.Data.Span).ShouldBe(body);
    }

    private sealed class Taker : IEventHandler
    {
        public IReadOnlyList<string> Topics { get; } = [EventTopics.Requests];

        public ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken) => new(BrokerVerdict.Done);
    }
}
