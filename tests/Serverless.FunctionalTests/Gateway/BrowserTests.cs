using System.Net;
using Microsoft.Extensions.Options;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Pages in browsers: those that are allowed may ask and read what clients need; of others, and of operators' routes, a browser is told nothing.</summary>
public sealed class BrowserTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Page = "https://chat.example";

    private static readonly Dictionary<string, string?> Allowed = new() { ["Gateway:Access:AllowedOrigins:0"] = Page, ["Gateway:Access:AllowedOrigins:1"] = "http://localhost:3000" };

    [Fact]
    public async Task A_preflight_of_an_allowed_page_is_answered_without_a_key_and_says_what_may_be_sent()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Allowed);

        using var answer = await PreflightAsync(gateway, Chat, Page);

        answer.StatusCode.ShouldBe(HttpStatusCode.NoContent);
        Header(answer, "Access-Control-Allow-Origin").ShouldBe(Page);
        Header(answer, "Access-Control-Allow-Headers").ShouldBe("authorization,idempotency-key,content-type");
        Header(answer, "Access-Control-Allow-Methods").ShouldBe("GET,HEAD,POST,DELETE");
        Header(answer, "Access-Control-Allow-Credentials").ShouldBe("");
    }

    [Fact]
    public async Task Answers_and_errors_let_an_allowed_page_read_the_headers_of_the_page()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Allowed);

        using var models = await gateway.AskAsync(HttpMethod.Get, "/v1/models", ("Origin", "http://localhost:3000"));
        using var refused = await gateway.PostAsync(Chat, "{", ("Origin", Page));

        Header(models, "Access-Control-Allow-Origin").ShouldBe("http://localhost:3000");
        refused.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        Header(refused, "Access-Control-Allow-Origin").ShouldBe(Page);
        Header(refused, "Access-Control-Expose-Headers").ShouldBe("x-request-id,Location,Retry-After,Preference-Applied,Idempotency-Replayed,X-Queue-Tokens-Ahead,X-Queue-Estimated-Wait-Ms,Content-Disposition,Content-Range,ETag,Accept-Ranges");
    }

    [Theory]
    [InlineData("GET", "/v1/nope", HttpStatusCode.NotFound)]
    [InlineData("PUT", "/v1/models", HttpStatusCode.MethodNotAllowed)]
    [InlineData("GET", Chat, HttpStatusCode.MethodNotAllowed)]
    public async Task A_page_may_read_that_what_it_asks_for_is_not_there(string method, string path, HttpStatusCode status)
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Allowed);

        using var preflight = await PreflightAsync(gateway, path, Page);
        using var asked = await gateway.AskAsync(new HttpMethod(method), path, ("Origin", Page));
        using var foreign = await gateway.AskAsync(new HttpMethod(method), path, ("Origin", "https://evil.example"));

        preflight.StatusCode.ShouldBe(HttpStatusCode.NoContent);
        Header(preflight, "Access-Control-Allow-Origin").ShouldBe(Page);
        asked.StatusCode.ShouldBe(status);
        Header(asked, "Access-Control-Allow-Origin").ShouldBe(Page);
        Header(foreign, "Access-Control-Allow-Origin").ShouldBe("");
    }

    [Theory]
    [InlineData(Chat, "https://evil.example")]
    [InlineData("/admin/pools", Page)]
    [InlineData("/metrics", Page)]
    public async Task Other_pages_and_operators_routes_are_told_nothing(string path, string origin)
    {
        await using var gateway = await GatewayUnderTest.StartAsync(Allowed);

        using var preflight = await PreflightAsync(gateway, path, origin);
        using var asked = await gateway.AskAsync(HttpMethod.Get, path, ("Origin", origin));

        Header(preflight, "Access-Control-Allow-Origin").ShouldBe("");
        Header(asked, "Access-Control-Allow-Origin").ShouldBe("");
    }

    [Fact]
    public async Task Without_the_setting_nothing_is_opened()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();

        using var preflight = await PreflightAsync(gateway, Chat, Page);

        preflight.StatusCode.ShouldBe(HttpStatusCode.MethodNotAllowed);
        Header(preflight, "Access-Control-Allow-Origin").ShouldBe("");
    }

    [Theory]
    [InlineData("https://chat.example/app", "Gateway:Access:AllowedOrigins:0 is 'https://chat.example/app'; give a page's origin without a path, such as https://chat.example or http://localhost:3000, or *.")]
    [InlineData("*", "Gateway:Access:AllowedOrigins is '*' and no keys are asked for: every page that somebody opens could use this gateway. Name the origins, or set up keys.")]
    public async Task What_is_no_origin_or_opens_too_much_is_refused_at_the_start(string origin, string message) =>
        (await Should.ThrowAsync<OptionsValidationException>(() => GatewayUnderTest.StartAsync(new() { ["Gateway:Access:AllowedOrigins:0"] = origin }))).Failures.ShouldContain(message);

    private static Task<HttpResponseMessage> PreflightAsync(GatewayUnderTest gateway, string path, string origin) => gateway.AskAsync(
        HttpMethod.Options, path, ("Origin", origin), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization,idempotency-key,content-type"));

    private static string Header(HttpResponseMessage answer, string name) => answer.Headers.TryGetValues(name, out var values) ? string.Join(',', values) : "";
}
