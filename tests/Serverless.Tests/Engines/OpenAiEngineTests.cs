using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Serverless.Engines;
using Serverless.Errors;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Engines;

/// <summary>Engines in processes of their own that answer what no engine should, and those that are busy, break off or hang, over real HTTP.</summary>
public sealed class OpenAiEngineTests
{
    private const string Word = """{"choices":[{"index":0,"delta":{"content":"word"}}]}""";
    private const string End = """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_it_says_is_chunks_and_a_usage()
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        stub.Answer = StubEngine.Events(Word, Word, End, """{"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":7}}}""", "[DONE]");

        var outputs = await GenerateAsync(engine);

        outputs.Select(output => output.Chunk).OfType<ChoiceChunk>().Select(chunk => (chunk.Position, chunk.Text)).ShouldBe([(0, "word"), (1, "word"), (2, "")]);
        outputs[^1].Usage.ShouldBe(new TokenUsage(10, 3, 7));
        (engine.Slots, engine.KvCapacityTokens).ShouldBe((4, 4000));
    }

    [Theory]
    [InlineData("text/html", "<html>Welcome to nginx!</html>", "where a stream of events is due")]
    [InlineData("application/json", """{"choices":[]}""", "where a stream of events is due")]
    [InlineData("text/event-stream", "data: {\"choices\":[{\"del\n\n", "is no JSON")]
    [InlineData("text/event-stream", "data: <html>\n\n", "is no JSON")]
    public async Task What_no_engine_should_answer_ends_the_request_with_the_reason(string type, string body, string reason)
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        stub.Answer = http =>
        {
            http.Response.ContentType = type;
            return http.Response.WriteAsync(body, http.RequestAborted);
        };

        (await Should.ThrowAsync<EngineAnswerException>(() => GenerateAsync(engine))).Message.ShouldContain(reason);
        engine.Lost.IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public async Task A_token_of_a_megabyte_ends_the_request_with_the_reason()
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        stub.Answer = StubEngine.Events(Word, JsonSerializer.Serialize(new { choices = new[] { new { delta = new { content = new string('x', 1 << 20) } } } }));

        (await Should.ThrowAsync<EngineAnswerException>(() => GenerateAsync(engine))).Message.ShouldContain("longer than 1048576 bytes");
    }

    /// <summary>It says no end, and more than it may: it is told to stop when it has said as much as was asked for.</summary>
    [Fact]
    public async Task A_stream_without_an_end_is_ended_at_the_cap()
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        stub.Answer = async http =>
        {
            http.Response.ContentType = "text/event-stream";
            try
            {
                while (true)
                {
                    await http.Response.WriteAsync($"data: {Word}\n\n", http.RequestAborted);
                    await http.Response.Body.FlushAsync(http.RequestAborted);
                }
            }
            finally
            {
                stopped.SetResult();
            }
        };

        (await Should.ThrowAsync<EngineAnswerException>(() => GenerateAsync(engine))).Message.ShouldContain("more than the 20 tokens");
        await stopped.Task.WithinLimitAsync();
    }

    [Theory]
    [InlineData(429, """{"detail":"Too Many Requests"}""", true)]
    [InlineData(503, """{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}""", true)]
    public async Task A_busy_engine_gives_the_request_back(int status, string body, bool isBusy)
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        stub.Answer = http =>
        {
            http.Response.StatusCode = status;
            return http.Response.WriteAsync(body, http.RequestAborted);
        };

        (await Should.ThrowAsync<EngineGaveUpException>(() => GenerateAsync(engine))).IsBusy.ShouldBe(isBusy);
    }

    [Fact]
    public async Task An_aborted_answer_is_given_back_as_of_a_busy_engine()
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        stub.Answer = StubEngine.Events(Word, End.Replace("stop", "abort", StringComparison.Ordinal));

        (await Should.ThrowAsync<EngineGaveUpException>(() => GenerateAsync(engine))).IsBusy.ShouldBeTrue();
    }

    [Fact]
    public async Task An_error_in_the_midst_of_the_stream_is_the_clients()
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        stub.Answer = StubEngine.Events(Word, """{"error":{"message":"This model's maximum context length is 1000 tokens.","type":"BadRequestError","code":400}}""", "[DONE]");

        (await Should.ThrowAsync<ServingException>(() => GenerateAsync(engine))).Fault.Error.ShouldBe(ServingError.ContextTooLong);
    }

    [Fact]
    public async Task A_connection_that_breaks_gives_the_request_back_as_one_that_may_be_the_cause()
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        stub.Answer = async http =>
        {
            await StubEngine.Events(Word)(http);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            http.Abort();
        };

        (await Should.ThrowAsync<EngineGaveUpException>(() => GenerateAsync(engine))).IsBusy.ShouldBeFalse();
    }

    [Fact]
    public async Task Cancelled_its_connection_is_closed_at_once()
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        stub.Answer = async http =>
        {
            await StubEngine.Events(Word)(http);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            http.RequestAborted.Register(() => aborted.SetResult());
            await aborted.Task;
        };
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);

        await Should.ThrowAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in engine.GenerateAsync(TestRequests.New(), [], stop.Token)) await stop.CancelAsync();
        });

        await aborted.Task.WithinLimitAsync();
    }

    [Fact]
    public async Task An_engine_with_work_that_says_nothing_is_lost()
    {
        await using var stub = await StubEngine.StartAsync();
        var time = new TestClock();
        await using var engine = await stub.LoadAsync(time, ("silenceSeconds", "30"));
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        stub.Answer = async http =>
        {
            asked.SetResult();
            var left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            http.RequestAborted.Register(() => left.SetResult());
            await left.Task;
        };

        var generating = GenerateAsync(engine);
        await asked.Task.WithinLimitAsync();
        await time.PassUntilAsync(engine.Lost, TimeSpan.FromMilliseconds(200));

        await Should.ThrowAsync<OperationCanceledException>(() => generating.WithinLimitAsync());
    }

    [Fact]
    public async Task What_it_says_of_its_load_counts_and_metrics_without_an_end_are_none()
    {
        await using var stub = await StubEngine.StartAsync();
        var looked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var first = stub.Metrics;
        var looks = 0;
        stub.Metrics = http =>
        {
            if (++looks == 3) looked.SetResult();
            return looks < 3 ? first(http) : http.Response.WriteAsync(new string('x', 5 << 20), http.RequestAborted);
        };
        var time = new TestClock();
        await using var engine = await stub.LoadAsync(time);
        await time.PassUntilAsync(looked.Task, TimeSpan.FromMilliseconds(200));

        await time.PassUntilAsync(() => engine.Load.Running == 0, "what it said is old", TimeSpan.FromMilliseconds(200));
        await time.PassUntilAsync(engine.Lost, TimeSpan.FromMilliseconds(200)); // and it is sick for too long
    }

    [Fact]
    public async Task One_that_says_too_much_of_itself_or_nothing_is_a_load_fault_that_says_so()
    {
        await using var stub = await StubEngine.StartAsync();
        var time = new TestClock();
        stub.OfItself = http => http.Response.WriteAsync(new string(' ', 2 << 20), http.RequestAborted);
        (await Should.ThrowAsync<EngineLoadException>(() => stub.LoadAsync(time).WithinLimitAsync())).Message.ShouldContain("1048576");

        stub.OfItself = http => new TaskCompletionSource().Task.WaitAsync(http.RequestAborted);
        var loading = stub.LoadAsync(time);
        await time.PassUntilAsync(loading);

        (await Should.ThrowAsync<EngineLoadException>(() => loading)).Message.ShouldContain("says nothing for 10 s");
    }

    [Theory]
    [InlineData("{}", "does not say how many slots")]
    [InlineData("<html>", "is not what llamacpp does")]
    public async Task What_is_no_llama_server_is_a_load_fault(string props, string reason)
    {
        await using var stub = await StubEngine.StartAsync();
        stub.Props = props;

        (await Should.ThrowAsync<EngineLoadException>(() => stub.LoadAsync(TimeProvider.System))).Message.ShouldContain(reason);
    }

    [Fact]
    public async Task A_server_that_does_not_answer_is_a_load_fault()
    {
        var stub = await StubEngine.StartAsync();
        var url = stub.Url;
        await using (stub)
        {
        }

        (await Should.ThrowAsync<EngineLoadException>(() => StubEngine.LoadAsync(url, TimeProvider.System))).Message.ShouldContain($"the llamacpp engine at {url}/ does not answer");
    }

    private static async Task<List<EngineOutput>> GenerateAsync(IEngine engine)
    {
        var outputs = new List<EngineOutput>();
        await foreach (var output in engine.GenerateAsync(TestRequests.New(), [], Token)) outputs.Add(output);
        return outputs;
    }
}
