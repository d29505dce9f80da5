using System.Diagnostics.Metrics;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Events;
using Shouldly;
using static Serverless.FunctionalTests.Gateway.BatchScene;

namespace Serverless.FunctionalTests.Gateway;

/// <summary>The ends of batches as events.</summary>
public sealed class BatchNoticeTests
{
    private const string Topic = "ops.batches";
    private const string Setting = "Gateway:Notices:BatchTopic";
    private const string OneAtATime = "Gateway:Batches:MaxRunning";
    private const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Each_end_is_told_with_the_batch_whose_it_is_and_the_trace_of_who_asked()
    {
        await using var files = await FilesUnderTest.StartAsync(settings: [(Setting, Topic), (OneAtATime, 1)]);
        await using var told = files.Gateway.Backend.Events.SubscribeAsync(Topic, Token).Enumerate(Token);
        var first = await CreateTracedAsync(files, Line("a"));
        var held = await files.Gateway.TakeAsync();
        var second = await CreateAsync(files, Line("b"));

        (await CancelAsync(files, second)).ShouldBe(HttpStatusCode.OK); // nobody has begun to run it
        await ShouldTellAsync(told, second, "cancelled");
        await AnswerAsync(held);
        var (completed, batch) = await ShouldTellAsync(told, first, "completed");
        var third = await CreateAsync(files, "{}");
        var (_, failed) = await ShouldTellAsync(told, third, "failed");
        var fourth = await CreateAsync(files, Line("d"));
        await files.Gateway.TakeAsync();
        (await CancelAsync(files, fourth)).ShouldBe(HttpStatusCode.OK);
        await ShouldTellAsync(told, fourth, "cancelled");

        completed.TraceParent.ShouldBe(Trace);
        (completed.Source, completed.Time.ShouldNotBeNull().ToUnixTimeSeconds()).ShouldBe(("/serverless/gateway", batch["completed_at"]!.GetValue<long>()));
        (batch["organization"]!.GetValue<string>(), batch["team"]!.GetValue<string>(), Counts(batch)).ShouldBe(("acme", "research", """{"total":1,"completed":1,"failed":0}"""));
        failed["errors"]!["data"]![0]!["line"]!.GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task A_window_that_is_over_is_told()
    {
        var time = new TestClock();
        await using var files = await FilesUnderTest.StartAsync(new Backend(time), settings: [(Setting, Topic)]);
        await using var told = files.Gateway.Backend.Events.SubscribeAsync(Topic, Token).Enumerate(Token);
        var batch = await PostAsync(files, await files.CreateAsync(Encoding.UTF8.GetBytes(Line("a"))), "1m");
        await files.Gateway.TakeAsync();

        await time.PassAsync(TimeSpan.FromSeconds(60));

        await ShouldTellAsync(told, batch, "expired");
    }

    [Fact]
    public async Task A_topic_that_takes_nothing_holds_no_batch_up_and_the_next_is_told()
    {
        var (time, isAway) = (new TestClock(), true);
        await using var files = await StartAsync((topic, _) => topic == Topic && Volatile.Read(ref isAway) ? throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "The topic is not there.")) : new(true), new Backend(time));
        using var outcomes = new MetricCollector<long>(files.Gateway.Services.GetRequiredService<IMeterFactory>(), "Serverless.Notices", "serverless.notices", TimeProvider.System);
        await using var told = files.Gateway.Backend.Events.SubscribeAsync(Topic, Token).Enumerate(Token);
        var first = await CreateAsync(files, Line("a"));
        await AnswerAsync(files);
        await UntilAsync(files, first, "completed"); // whether it was told or not
        await time.PassUntilAsync(() => outcomes.GetMeasurementSnapshot().Count == 1, "the notice is given up");
        Volatile.Write(ref isAway, false);

        var second = await CreateAsync(files, Line("b"));
        var next = files.Gateway.TakeAsync();
        await time.PassUntilAsync(() => next.IsCompleted, "the second batch runs");
        await AnswerAsync(await next);
        await ShouldTellAsync(told, second, "completed");
        outcomes.GetMeasurementSnapshot().Select(each => each.Tags["outcome"]).ShouldBe(["dropped", "published"]);
    }

    [Fact]
    public async Task What_a_lost_gateway_had_ended_and_not_told_the_next_one_tells()
    {
        var backend = new Backend(new TestClock());
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        JsonObject batch;
        await using (var lost = await StartAsync(
            (topic, _) =>
            {
                if (topic != Topic) return new(true);

                asked.TrySetResult();
                throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "The topic is not there.")); // and the clock stands still: it is never tried again
            },
            backend))
        {
            batch = await CreateAsync(lost, Line("a"));
            await AnswerAsync(lost);
            await asked.Task.WithinLimitAsync();
        }

        await using var told = backend.Events.SubscribeAsync(Topic, Token).Enumerate(Token);
        await using var next = await FilesUnderTest.StartAsync(backend, settings: [(Setting, Topic)]);

        await ShouldTellAsync(told, batch, "completed");
    }

    [Theory]
    [InlineData("serverless.results", "Gateway:Notices:BatchTopic is 'serverless.results', which is the gateways' own")]
    [InlineData("serverless.requests", "Gateway:Notices:BatchTopic is 'serverless.requests', whose events are requests")]
    [InlineData("a topic", "Gateway:Notices:BatchTopic is 'a topic'; a topic has")]
    public async Task A_faulty_topic_stops_the_start(string topic, string sentence)
    {
        var fault = await Should.ThrowAsync<OptionsValidationException>(() => GatewayUnderTest.StartAsync(new() { [Setting] = topic }));

        fault.Message.ShouldContain(sentence);
    }

    private static Task<FilesUnderTest> StartAsync(Func<string, CloudEvent, ValueTask<bool>> before, Backend backend) => FilesUnderTest.StartAsync(
        backend, services => services.AddSingleton<IEventBus>(provider => new HookedBus(provider.GetRequiredService<MemoryEventBus>(), before)), (Setting, Topic), (OneAtATime, 1));

    private static async Task<JsonObject> CreateTracedAsync(FilesUnderTest files, string line)
    {
        var input = await files.CreateAsync(Encoding.UTF8.GetBytes(line));
        using var content = new StringContent($$"""{"input_file_id":"{{input["id"]}}","endpoint":"/v1/chat/completions","completion_window":"24h"}""", Encoding.UTF8, "application/json");
        content.Headers.Add("traceparent", Trace);
        using var answer = await files.SendAsync(HttpMethod.Post, "/v1/batches", content);
        return await FilesUnderTest.JsonAsync(answer);
    }

    private static async Task<(CloudEvent Told, JsonObject Batch)> ShouldTellAsync(IAsyncEnumerator<CloudEvent> events, JsonObject batch, string status)
    {
        (await events.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();
        var (told, data) = (events.Current, JsonNode.Parse(events.Current.Data.Span)!.AsObject());
        var id = batch["id"]!.GetValue<string>();
        (told.Id, told.Subject, told.Type, data["id"]!.GetValue<string>(), data["status"]!.GetValue<string>()).ShouldBe((id, id, "dev.serverless.batch." + status, id, status));
        return (told, data);
    }
}
