using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Cli.Client;
using Serverless.Errors;
using Serverless.Gateway.DeadLetters;
using Serverless.Gateway.Routes;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Dead letters over HTTP, as the tool asks for them.</summary>
public sealed class DeadLetterTests : IAsyncLifetime
{
    private static readonly ModelName Model = new("tiny");

    private readonly string _folder = Directory.CreateTempSubdirectory("serverless-letters-").FullName;
    private WebApplication _host = null!;
    private ServingClient _client = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(TimeProvider.System).AddSingleton(new QueueLimits()).AddSqliteState(_ => _folder);
        _host = builder.Build();
        _host.UseMiddleware<FaultAnswer>();
        _host.MapDeadLetters();
        await _host.StartAsync(Token);
        _client = new ServingClient(new Uri(_host.Urls.Single()), apiKey: null, new SocketsHttpHandler { UseProxy = false });
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _host.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_dead_letter_is_listed_without_its_body_and_shown_with_it()
    {
        var request = await BuryAsync();

        var listed = (await _client.DeadLettersAsync(10, Token)).ShouldHaveSingleItem();
        var shown = await _client.DeadLetterAsync(request.Id.Value, Token);

        listed.Body.ShouldBeNull();
        (listed.Id, listed.Model, listed.Error, listed.Message, listed.Attempts, listed.Bytes).ShouldBe((request.Id.Value, "tiny", "Poisoned", "Three attempts were lost.", 3, request.Body.Length));
        shown.Body.ShouldBe("""{"model":"tiny","é":1}""");
    }

    [Theory]
    [InlineData("PUT", "", 405)]
    [InlineData("PATCH", "/x", 405)]
    [InlineData("HEAD", "", 200)]
    [InlineData("HEAD", "/x", 404)]
    public async Task What_is_not_done_with_them_is_said_and_what_asks_for_no_body_gets_none(string method, string path, int status)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri($"{_host.Urls.Single()}/admin/dead-letters{path}"));

        using var answer = await client.SendAsync(request, Token);

        ((int)answer.StatusCode).ShouldBe(status);
        if (method == "HEAD") (await answer.Content.ReadAsByteArrayAsync(Token)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_redrive_answers_the_new_id_and_takes_the_letter_away()
    {
        var request = await BuryAsync();

        var id = await _client.RedriveAsync(request.Id.Value, Token);

        id.ShouldNotBe(request.Id.Value);
        (await _client.DeadLettersAsync(10, Token)).ShouldBeEmpty();
        (await Queue.DepthAsync(Model, Token)).Requests.ShouldBe(1);
        (await _host.Services.GetRequiredService<IRequestLog>().ReadHeadAsync(new RequestId(id), Token)).ShouldNotBeNull().Promise.ShouldBe(Promise.Id);
    }

    [Fact]
    public async Task What_is_removed_is_gone_and_what_never_was_is_a_404()
    {
        var request = await BuryAsync();

        await _client.RemoveDeadLetterAsync(request.Id.Value, Token);

        (await _client.DeadLettersAsync(10, Token)).ShouldBeEmpty();
        foreach (var asking in new Func<Task>[]
        {
            () => _client.DeadLetterAsync(request.Id.Value, Token),
            () => _client.RedriveAsync(request.Id.Value, Token),
            () => _client.RemoveDeadLetterAsync(request.Id.Value, Token),
        })
        {
            (await Should.ThrowAsync<ServingClientException>(asking)).Message.ShouldStartWith("404: There is no dead letter");
        }
    }

    [Theory]
    [InlineData("0")]
    [InlineData("x")]
    [InlineData("10001")]
    public async Task A_limit_that_is_none_is_refused(string limit)
    {
        using var http = new HttpClient { BaseAddress = new Uri(_host.Urls.Single()) };

        using var answer = await http.GetAsync($"admin/dead-letters?limit={limit}", Token);

        answer.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await answer.Content.ReadAsStringAsync(Token)).ShouldContain("limit is a number from 1 to 10000");
    }

    private IRequestQueue Queue => _host.Services.GetRequiredService<IRequestQueue>();

    private async Task<InferenceRequest> BuryAsync()
    {
        var now = TimeProvider.System.GetUtcNow();
        var request = new InferenceRequest
        {
            Id = RequestId.New("chatcmpl-"),
            Model = Model,
            Endpoint = EndpointName.ChatCompletions,
            Body = """{"model":"tiny","é":1}"""u8.ToArray(),
            PromptTokens = 1,
            MaxOutputTokens = 1,
            Seed = 1,
            AcceptedAt = now,
            Deadline = now.AddMinutes(1),
        };
        await Queue.EnqueueAsync(request, Token);
        await using var deliveries = Queue.ConsumeAsync(Model, Token).Enumerate(Token);
        await deliveries.MoveNextAsync();
        await deliveries.Current.DeadLetterAsync(new ServingFault(ServingError.Poisoned, "Three attempts were lost."), 3, Token);
        return request;
    }
}
