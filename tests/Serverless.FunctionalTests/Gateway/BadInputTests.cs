using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using CsCheck;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>What the edge refuses, over a real connection: each a clear error, never a crash, a hang or a 500.</summary>
public sealed class BadInputTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Hello = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("""{"model":"none","messages":[{"role":"user","content":"Hello"}]}""", 404, "model_not_found", "model")]
    [InlineData("""{"model":"tiny","messages":[]}""", 400, null, "messages")]
    [InlineData("""{"model":"tiny","messages":[""", 400, null, null)]
    [InlineData("""{"model":"tiny","tool_choice":"required","messages":[{"role":"user","content":"Hello"}]}""", 400, "unsupported_value", "tool_choice")]
    public async Task A_bad_body_is_an_error_that_names_the_field(string body, int status, string? code, string? param)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        var (answered, error) = await ErrorAsync(await gateway.PostAsync(Chat, body, Token));

        ((int)answered).ShouldBe(status);
        error.GetProperty("code").GetString().ShouldBe(code);
        error.GetProperty("param").GetString().ShouldBe(param);
    }

    [Fact]
    public async Task A_prompt_over_the_context_is_told_its_tokens_the_cap_and_the_context()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var body = $$"""{"model":"tiny","max_tokens":50,"messages":[{"role":"user","content":"{{new string('a', 20_000)}}"}]}""";

        var (status, error) = await ErrorAsync(await gateway.PostAsync(Chat, body, Token));

        status.ShouldBe(HttpStatusCode.BadRequest);
        error.GetProperty("code").GetString().ShouldBe("context_length_exceeded");
        error.GetProperty("param").GetString().ShouldBe("messages");
        error.GetProperty("message").GetString()!.ShouldContain($"{body.Length / 10} tokens");
        error.GetProperty("message").GetString()!.ShouldContain("50 tokens of output");
        error.GetProperty("message").GetString()!.ShouldContain("1000 tokens");
    }

    [Fact]
    public async Task Too_many_choices_are_refused()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        var (status, error) = await ErrorAsync(await gateway.PostAsync("/v1/completions", """{"model":"tiny","prompt":["a","b","c"],"n":100}""", Token));

        status.ShouldBe(HttpStatusCode.BadRequest);
        error.GetProperty("message").GetString()!.ShouldContain("300 choices");
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/json; charset=utf-16")]
    [InlineData("multipart/form-data; boundary=x")]
    [InlineData("nonsense")]
    [InlineData("")]
    public async Task A_body_that_is_not_JSON_by_its_type_is_refused_with_415(string contentType)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        var (status, error) = await ErrorAsync(await gateway.PostAsync(Chat, Hello, Token, contentType));

        status.ShouldBe(HttpStatusCode.UnsupportedMediaType);
        error.GetProperty("code").GetString().ShouldBe("unsupported_content_type");
    }

    [Theory]
    [InlineData("application/json;charset=UTF-8")]
    [InlineData("Application/JSON")]
    [InlineData("application/vnd.api+json")]
    public async Task JSON_under_its_other_names_is_taken(string contentType)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        using var gone = new CancellationTokenSource();
        var response = gateway.PostAsync(Chat, Hello, gone.Token, contentType);

        (await gateway.TakeAsync()).Request.Model.Value.ShouldBe("tiny");

        await gone.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(response);
    }

    [Fact]
    public async Task A_compressed_body_is_refused_with_415()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var content = new StringContent(Hello, MediaTypeHeaderValue.Parse("application/json"));
        content.Headers.ContentEncoding.Add("gzip");

        (await gateway.Client.PostAsync(Chat, content, Token)).StatusCode.ShouldBe(HttpStatusCode.UnsupportedMediaType);
    }

    [Fact]
    public async Task A_body_declared_over_the_limit_is_refused_unread()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["Gateway:Admission:MaxBodyBytes"] = "2048" });

        // Only the headers are sent: an answer proves that nothing of the body was waited for.
        var answer = await ExchangeAsync(gateway, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2049\r\n\r\n");

        answer.ShouldStartWith("HTTP/1.1 413 ");
        answer.ShouldContain("Connection: close");
        answer.ShouldContain("the limit is 2048 bytes");
    }

    [Fact]
    public async Task A_chunked_body_over_the_limit_is_refused_when_it_gets_there()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["Gateway:Admission:MaxBodyBytes"] = "2048" });
        var chunk = $"400\r\n{new string(' ', 1024)}\r\n";

        var answer = await ExchangeAsync(gateway, $"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}");

        answer.ShouldStartWith("HTTP/1.1 413 ");
        answer.ShouldContain("body_too_large");
    }

    [Theory]
    [InlineData("X-Request-Timeout", "soon")]
    [InlineData("X-Request-Timeout", "-1")]
    [InlineData("X-Conversation-Id", "")]
    public async Task A_header_of_ours_with_an_odd_value_is_refused(string header, string value)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        gateway.Client.DefaultRequestHeaders.TryAddWithoutValidation(header, value);

        var (status, error) = await ErrorAsync(await gateway.PostAsync(Chat, Hello, Token));

        status.ShouldBe(HttpStatusCode.BadRequest);
        error.GetProperty("param").GetString().ShouldBe(header);
    }

    [Theory]
    [InlineData("X-Request-Timeout", "2.5", false, 2.5)]
    [InlineData("X-Request-Timeout", "1e9", false, -1)]
    [InlineData("X-Request-Timeout", "999999", true, 3600)]
    [InlineData("X-Stainless-Timeout", "60", false, 60)]
    [InlineData("X-Stainless-Timeout", "60", true, 600)]
    [InlineData("X-Stainless-Timeout", "NOT_GIVEN", false, 600)]
    public async Task A_clients_timeout_becomes_the_deadline(string header, string value, bool stream, double seconds)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        gateway.Client.DefaultRequestHeaders.TryAddWithoutValidation(header, value);
        using var gone = new CancellationTokenSource();
        var response = gateway.PostAsync(Chat, stream ? Hello.Replace("{\"model\"", "{\"stream\":true,\"model\"", StringComparison.Ordinal) : Hello, gone.Token);

        if (seconds < 0)
        {
            (await response).StatusCode.ShouldBe(HttpStatusCode.BadRequest);
            return;
        }

        var request = (await gateway.TakeAsync()).Request;
        (request.Deadline - request.AcceptedAt).TotalSeconds.ShouldBe(seconds);
        await gone.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(response);
    }

    [Fact]
    public async Task Mutated_bodies_never_get_a_5xx()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        gateway.Queue.Refusal = new(new Errors.ServingFault(Errors.ServingError.QueueFull, "Taken."));
        var seed = Encoding.UTF8.GetBytes("""{"model":"tiny","messages":[{"role":"user","content":[{"type":"text","text":"Hello"}]}],"temperature":1,"stop":["x"],"n":2}""");
        var edits = Gen.Select(Gen.Int[0, seed.Length - 1], Gen.Byte).List[1, 5];

        await edits.SampleAsync(
            async changes =>
            {
                var body = (byte[])seed.Clone();
                foreach (var (at, value) in changes) body[at] = value;

                var content = new ByteArrayContent(body);
                content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
                using var answer = await gateway.Client.PostAsync(Chat, content, Token);
                ((int)answer.StatusCode).ShouldBeOneOf(400, 404, 429);
            },
            iter: 2000);
    }

    private static async Task<(HttpStatusCode Status, JsonElement Error)> ErrorAsync(HttpResponseMessage answer)
    {
        answer.Content.Headers.ContentType!.MediaType.ShouldBe("application/json");
        return (answer.StatusCode, (await answer.Content.ReadFromJsonAsync<JsonElement>(Token)).GetProperty("error"));
    }

    /// <summary>Sends bytes as they are and reads until the server closes.</summary>
    private static async Task<string> ExchangeAsync(GatewayUnderTest gateway, string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, gateway.Client.BaseAddress!.Port, Token);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request), Token);
        using var reader = new StreamReader(client.GetStream());
        return await reader.ReadToEndAsync(Token).WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);
    }
}
