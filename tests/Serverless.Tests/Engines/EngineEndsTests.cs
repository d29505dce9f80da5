using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;
using Serverless.Engines;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Hosting.Engines.OpenAi.Generic;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Engines;

/// <summary>Engines that do not end what they say, count what nobody asked for, or are nowhere to be reached.</summary>
public sealed class EngineEndsTests
{
    private const string Word = """{"choices":[{"index":0,"delta":{"content":"word"}}]}""";
    private const string Nothing = """{"choices":[{"index":0,"delta":{}}]}""";
    private const string End = """{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""";
    private const string Used = """{"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":2}}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>The client has its answer: an engine that keeps the connection, or talks on, keeps it from nobody.</summary>
    [Theory]
    [InlineData("usage, then silence")]
    [InlineData("silence")]
    [InlineData("events without an end")]
    public async Task Once_it_has_said_its_end_the_request_ends(string then)
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        stub.Answer = async http =>
        {
            await StubEngine.Events(Word, End)(http);
            if (then.StartsWith("usage", StringComparison.Ordinal)) await SayAsync(http, Used);
            await http.Response.Body.FlushAsync(http.RequestAborted);
            while (then.StartsWith("events", StringComparison.Ordinal)) await SayAsync(http, Nothing);
            await new TaskCompletionSource().Task.WaitAsync(http.RequestAborted);
        };

        var outputs = await GenerateAsync(engine).WithinLimitAsync();

        outputs.Select(output => output.Chunk).OfType<ChoiceChunk>().Select(chunk => chunk.Text).ShouldBe(["word", ""]);
        outputs[^1].Usage!.CompletionTokens.ShouldBe(then.StartsWith("usage", StringComparison.Ordinal) ? 2 : 1);
    }

    /// <summary>It says nothing, and that without an end: no token is counted that would end it.</summary>
    [Theory]
    [InlineData(Nothing)]
    [InlineData("""{"choices":[{"index":0,"delta":{"content":"word"}}],"timings":{"predicted_n":1}}""")]
    public async Task Events_that_bring_no_token_end_the_request_some_time(string said)
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        stub.Answer = async http =>
        {
            http.Response.ContentType = "text/event-stream";
            while (true) await SayAsync(http, said);
        };

        (await Should.ThrowAsync<EngineAnswerException>(() => GenerateAsync(engine).WithinLimitAsync())).Message.ShouldContain("events");
    }

    /// <summary>Nobody pays for what was not asked for.</summary>
    [Theory]
    [InlineData("""{"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":2000000000,"prompt_tokens_details":{"cached_tokens":-7}}}""")]
    [InlineData("""{"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":-3}}""")]
    [InlineData("""{"choices":[],"usage":{"prompt_tokens":"many","completion_tokens":1e300}}""")]
    public async Task A_usage_that_cannot_be_is_not_believed(string usage)
    {
        await using var stub = await StubEngine.StartAsync();
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        stub.Answer = StubEngine.Events(Word, Word, End, usage, "[DONE]");

        (await GenerateAsync(engine))[^1].Usage.ShouldBe(new TokenUsage(10, 2, 0));
    }

    /// <summary>Its machine went, and nothing says so: no answer at all, not even a refusal. It is as if the connection broke, and no end that anybody asked for.</summary>
    [Fact]
    public async Task An_engine_that_is_nowhere_to_be_reached_gives_the_request_back_and_is_a_load_fault()
    {
        var stub = await StubEngine.StartAsync();
        var url = stub.Url;
        await using var engine = await stub.LoadAsync(TimeProvider.System);
        await stub.DisposeAsync();
        using var silent = new SilentPort(new Uri(url).Port);

        (await Should.ThrowAsync<EngineGaveUpException>(() => GenerateAsync(engine).WithinLimitAsync())).IsBusy.ShouldBeFalse();
        (await Should.ThrowAsync<EngineLoadException>(() => StubEngine.LoadAsync(url, TimeProvider.System).WithinLimitAsync())).Message.ShouldContain("does not answer");
    }

    [Fact]
    public async Task A_name_that_is_no_Unicode_is_a_load_fault()
    {
        await using var stub = await StubEngine.StartAsync();
        stub.Pages["/v1/models"] = StubEngine.Says("""{"data":[{"id":"\ud800"}]}""");

        (await Should.ThrowAsync<EngineLoadException>(() => stub.LoadAsync<GenericDialect>())).Message.ShouldContain("is not what openai does");
    }

    private static Task SayAsync(HttpContext http, string data) => http.Response.WriteAsync($"data: {data}\n\n", http.RequestAborted);

    private static async Task<List<EngineOutput>> GenerateAsync(IEngine engine)
    {
        var outputs = new List<EngineOutput>();
        await foreach (var output in engine.GenerateAsync(TestRequests.New(), [], Token)) outputs.Add(output);
        return outputs;
    }

    /// <summary>A port that answers nobody: its queue is full, and the system drops who comes.</summary>
    private sealed class SilentPort : IDisposable
    {
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly List<Socket> _waiting = [];

        public SilentPort(int port)
        {
            _listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
            _listener.Listen(0);
            for (var i = 0; i < 4; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
                _waiting.Add(socket);
                try
                {
                    socket.Connect(new IPEndPoint(IPAddress.Loopback, port));
                }
                catch (SocketException)
                {
                    // It is under way.
                }
            }
        }

        public void Dispose()
        {
            foreach (var socket in _waiting) socket.Dispose();
            _listener.Dispose();
        }
    }
}
