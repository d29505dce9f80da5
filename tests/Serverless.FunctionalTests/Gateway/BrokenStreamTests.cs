using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Errors;
using Serverless.Requests;
using Serverless.Scaling.Capacity;
using Shouldly;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>Streams that do not go well: failures, clients that leave, waiting, and a server that stops.</summary>
public sealed class BrokenStreamTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Streamed = """{"model":"tiny","stream":true,"messages":[{"role":"user","content":"Hello"}]}""";
    private const string Whole = """{"model":"tiny","messages":[{"role":"user","content":"Hello"}]}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_stream_that_fails_ends_in_an_error_event_and_a_broken_connection()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Chat, Streamed, Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        await events.ReadDataAsync();
        await events.ReadDataAsync();

        await held.FailAsync(ServingError.EngineFailed, "The engine fell over.");

        var error = (await events.ReadDataAsync())!;
        error.Data.ShouldBe("""{"error":{"message":"The engine fell over.","type":"server_error","param":null,"code":"engine_failed"}}""");
        await Should.ThrowAsync<IOException>(events.ReadAsync);
    }

    [Fact]
    public async Task Output_with_a_gap_breaks_the_stream_and_ends_the_request()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Chat, Streamed, Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        await events.ReadDataAsync();
        await events.ReadDataAsync();

        var end = held.EndAsync();
        await held.AppendAsync(new RequestEvent.Chunk([new ChoiceChunk(0, 2, [1], "lost")]));

        (await events.ReadDataAsync())!.Json.GetProperty("error").GetProperty("code").GetString().ShouldBe("internal_error");
        await Should.ThrowAsync<IOException>(events.ReadAsync);
        (await end).ShouldBeOfType<RequestEvent.Failed>().Fault.Error.ShouldBe(ServingError.Internal);
    }

    [Theory]
    [InlineData(Streamed, true)]
    [InlineData(Streamed, false)]
    [InlineData(Whole, true)]
    [InlineData(Whole, false)]
    public async Task A_client_that_goes_away_cancels_its_request(string body, bool running)
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        using var gone = new CancellationTokenSource();
        var response = gateway.PostAsync(Chat, body, gone.Token);
        var held = await gateway.TakeAsync();
        if (running)
        {
            await held.BeginAsync();
            await held.SayAsync("Good");
        }

        var end = held.EndAsync();
        if (running && body == Streamed) (await response).Dispose();
        else await gone.CancelAsync();

        (await end.WaitAsync(TestTimeouts.Default, TimeProvider.System, Token)).ShouldBeOfType<RequestEvent.Cancelled>();
        if (running) (await held.SayAsync("day")).ShouldNotBe(AppendStatus.Accepted);
    }

    [Fact]
    public async Task A_waiting_stream_says_what_it_waits_for_and_says_it_again_when_that_changes()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["Gateway:Streaming:FirstNotice"] = "00:00:00.001", ["Gateway:Streaming:NoticeInterval"] = "00:00:00.001", ["Gateway:Waiting:ColdStart"] = "00:00:00" });
        var capacity = gateway.Services.GetRequiredService<ICapacityFeed>();
        var response = await gateway.PostAsync(Chat, Streamed, Token);
        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        var held = await gateway.TakeAsync();
        using var events = new SseReader(await response.Content.ReadAsStreamAsync(Token));

        (await events.ReadAsync())!.Comment.ShouldBe("waiting: pool tiny-cpu is at zero");
        capacity.Publish(new PoolCapacity { Pool = GatewayUnderTest.Model.Pools[0].Name, Desired = 1, LoadingSince = [DateTimeOffset.UnixEpoch], LoadingProgress = 0.43 });
        (await events.ReadAsync())!.Comment.ShouldBe("waiting: pool tiny-cpu is loading 43 %");

        await held.BeginAsync();
        await held.SayAsync("Good", finish: FinishReason.Stop);
        await held.FinishAsync();
        var seen = new List<string?>();
        while (await events.ReadDataAsync() is { } next) seen.Add(next.Data);
        seen.Count.ShouldBe(4);
        seen[^1].ShouldBe("[DONE]");
    }

    [Theory]
    [InlineData(Streamed)]
    [InlineData(Whole)]
    public async Task A_request_past_its_deadline_ends_even_if_no_dispatcher_ends_it(string body)
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new()
        {
            ["Gateway:Admission:DefaultTimeout"] = "00:00:01",
            ["Gateway:Streaming:FirstNotice"] = "00:00:01.100",
            ["Gateway:Streaming:NoticeInterval"] = "00:00:00.010",
        });

        var response = gateway.PostAsync(Chat, body, Token);
        var end = (await gateway.TakeAsync()).EndAsync();

        (await response).StatusCode.ShouldBe(HttpStatusCode.GatewayTimeout);
        (await end).ShouldBeOfType<RequestEvent.Failed>().Fault.Error.ShouldBe(ServingError.DeadlineExceeded);
    }

    [Fact]
    public async Task A_stopping_server_finishes_what_runs()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var response = gateway.PostAsync(Chat, Streamed, Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        await events.ReadDataAsync();

        gateway.BeginStop();
        var stopped = gateway.StopAsync();
        await held.SayAsync(" day", finish: FinishReason.Stop);
        await held.FinishAsync();

        string? last = null;
        while (await events.ReadDataAsync() is { } next) last = next.Data;
        last.ShouldBe("[DONE]");
        await stopped.WaitAsync(TestTimeouts.Default, TimeProvider.System, Token);
    }

    [Fact]
    public async Task A_stopping_server_takes_nothing_new_and_gives_what_runs_a_bounded_time()
    {
        await using var gateway = await GatewayUnderTest.StartAsync(new() { ["Gateway:Streaming:DrainTimeout"] = "00:00:00", ["Gateway:Streaming:NoticeInterval"] = "00:00:00.010" });
        var response = gateway.PostAsync(Chat, Streamed, Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Good");
        using var events = new SseReader(await (await response).Content.ReadAsStreamAsync(Token));
        await events.ReadDataAsync();
        await events.ReadDataAsync();
        var end = held.EndAsync();

        gateway.BeginStop();

        (await events.ReadDataAsync())!.Json.GetProperty("error").GetProperty("code").GetString().ShouldBe("shutting_down");
        await Should.ThrowAsync<IOException>(events.ReadAsync);
        (await end).ShouldBeOfType<RequestEvent.Failed>().Fault.Error.ShouldBe(ServingError.ShuttingDown);

        var refused = await gateway.PostAsync(Chat, Whole, Token);
        refused.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        refused.Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(1));
        (await gateway.Client.GetAsync("/readyz", Token)).StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
    }
}
