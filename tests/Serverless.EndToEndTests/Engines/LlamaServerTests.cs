using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Serverless.EndToEndTests.Parts;
using Shouldly;

namespace Serverless.EndToEndTests.Engines;

/// <summary>The real <c>llama-server</c> with the real model as a pool's engine behind <c>serverless up</c>: what a client sees of it.</summary>
public sealed class LlamaServerTests : IAsyncLifetime
{
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, ResponseDrainTimeout = TimeSpan.Zero }) { Timeout = TestTimeouts.Start };
    private UpServer? _up;
    private PartProcess? _engine;

    /// <summary>Of an answer that is not to come to its end: some twenty seconds.</summary>
    private const int MostTokens = 1500;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private UpServer Up => _up!;

    public ValueTask InitializeAsync()
    {
        Assert.SkipWhen(LlamaServer.Absence is not null, LlamaServer.Absence ?? "");
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        if (_up is not null) await _up.DisposeAsync();
        if (_engine is not null) await _engine.DisposeAsync();
        _http.Dispose();
    }

    [Fact]
    public async Task A_chat_is_the_same_in_one_piece_and_in_a_stream()
    {
        await StartChildAsync();

        var whole = await AskAsync("/v1/chat/completions", Chat(24));
        var streamed = await StreamAsync("/v1/chat/completions", Chat(24, stream: true));

        var text = whole["choices"]![0]!["message"]!["content"]!.GetValue<string>();
        text.Length.ShouldBeGreaterThan(20);
        whole["usage"]!["completion_tokens"]!.GetValue<int>().ShouldBe(24);
        whole["usage"]!["prompt_tokens"]!.GetValue<int>().ShouldBeGreaterThan(10);
        streamed.Text.ShouldBe(text);
        streamed.Finish.ShouldBe("length");
        streamed.Usage!["completion_tokens"]!.GetValue<int>().ShouldBe(24);
    }

    [Fact]
    public async Task Choices_stop_strings_and_log_probabilities_are_honoured()
    {
        await StartChildAsync();

        var two = await AskAsync("/v1/completions", new { model = "smol", prompt = "Once upon a time", n = 2, max_tokens = 8, seed = 3, ignore_eos = true });
        var stopped = await AskAsync("/v1/completions", new { model = "smol", prompt = "1, 2, 3, 4,", temperature = 0, max_tokens = 30, stop = "8" });
        var scored = await AskAsync("/v1/chat/completions", new { model = "smol", messages = Hello, temperature = 0, max_tokens = 4, logprobs = true, top_logprobs = 2 });

        two["choices"]!.AsArray().Count.ShouldBe(2);
        two["choices"]![0]!["text"]!.GetValue<string>().ShouldNotBe(two["choices"]![1]!["text"]!.GetValue<string>());
        stopped["choices"]![0]!["text"]!.GetValue<string>().ShouldBe(" 5, 6, 7, ");
        stopped["choices"]![0]!["finish_reason"]!.GetValue<string>().ShouldBe("stop");
        var scores = scored["choices"]![0]!["logprobs"]!["content"]!.AsArray();
        scores.Count.ShouldBe(4);
        scores.ShouldAllBe(token => token!["top_logprobs"]!.AsArray().Count == 2);
    }

    [Fact]
    public async Task Output_is_held_to_a_schema()
    {
        await StartChildAsync();
        var schema = new { type = "object", properties = new { city = new { type = "string", maxLength = 20 }, people = new { type = "integer" } }, required = new[] { "city", "people" }, additionalProperties = false };

        var answer = await AskAsync("/v1/chat/completions", new { model = "smol", messages = new[] { new { role = "user", content = "Name a city and how many people live there, as JSON." } }, temperature = 0, max_tokens = 200, response_format = new { type = "json_schema", json_schema = new { name = "city", schema } } });

        var city = JsonNode.Parse(answer["choices"]![0]!["message"]!["content"]!.GetValue<string>())!.AsObject();
        city.Select(field => field.Key).ShouldBe(["city", "people"]);
        city["people"]!.GetValueKind().ShouldBe(JsonValueKind.Number);
    }

    [Fact]
    public async Task A_prompt_that_is_too_long_and_a_field_that_is_not_honoured_are_refused()
    {
        await StartChildAsync();

        using var tooLong = await _http.PostAsJsonAsync(new Uri(Up.Address, "/v1/completions"), new { model = "smol", prompt = string.Concat(Enumerable.Repeat("word ", 4000)), max_tokens = 4 }, Token);
        using var notHonoured = await _http.PostAsJsonAsync(new Uri(Up.Address, "/v1/completions"), new { model = "smol", prompt = "x", suffix = "y", max_tokens = 4 }, Token);

        (await tooLong.Content.ReadAsStringAsync(Token)).ShouldContain("context_length_exceeded");
        ((int)notHonoured.StatusCode).ShouldBe(400);
    }

    /// <summary>Killed in the midst of an answer it is started again, and the answer goes on from the text that its client has seen.</summary>
    [Theory]
    [InlineData("/v1/completions")]
    [InlineData("/v1/chat/completions")]
    public async Task Killed_in_the_midst_of_an_answer_nothing_of_it_is_missing_or_said_twice(string path)
    {
        await StartChildAsync();
        var body = path == "/v1/completions" ? Completion(120) : Counting(120);
        var undisturbed = await StreamAsync(path, body);
        var first = EngineOf(Up.Process.Id).ShouldNotBeNull();

        var killed = await StreamAsync(path, body, async events =>
        {
            if (events == 20) await SignalAsync(first, "KILL");
        });

        killed.Text.ShouldBe(undisturbed.Text, Up.Process.Output);
        killed.Finish.ShouldBe(undisturbed.Finish);
        killed.Usage!["completion_tokens"]!.GetValue<int>().ShouldBe(undisturbed.Usage!["completion_tokens"]!.GetValue<int>());
        EngineOf(Up.Process.Id).ShouldNotBeNull().ShouldNotBe(first);
        Up.Process.Output.ShouldContain("llama-server ended with 137, unasked");
    }

    [Fact]
    public async Task A_hung_one_is_killed_and_started_again_and_the_answer_goes_on()
    {
        await StartChildAsync(", silenceSeconds: '10'");
        var undisturbed = await StreamAsync("/v1/chat/completions", Counting(60));
        var first = EngineOf(Up.Process.Id).ShouldNotBeNull();

        var hung = await StreamAsync("/v1/chat/completions", Counting(60), async events =>
        {
            if (events == 20) await SignalAsync(first, "STOP");
        });

        hung.Text.ShouldBe(undisturbed.Text, Up.Process.Output);
        Up.Process.Output.ShouldMatch("it hangs and is taken for lost|has not answered for 15 s and is taken for lost"); // the second where it has been silent for long before
        Directory.Exists($"/proc/{first}").ShouldBeFalse();
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("KILL")]
    public async Task It_goes_with_the_process_that_started_it_however_that_ends(string signal)
    {
        await StartChildAsync();
        var engine = EngineOf(Up.Process.Id).ShouldNotBeNull();

        await Up.Process.SignalAsync(signal);
        await Up.Process.ExitedAsync(Token).WithinLimitAsync();

        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        for (var look = 0; Directory.Exists($"/proc/{engine}"); look++)
        {
            look.ShouldBeLessThan(1000);
            await pace.WaitForNextTickAsync(Token);
        }
    }

    [Fact]
    public async Task An_answer_that_its_client_leaves_stops()
    {
        var engine = await StartUrlAsync();
        using (var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Up.Address, "/v1/completions")) { Content = JsonContent.Create(new { model = "smol", prompt = "Once upon a time", max_tokens = MostTokens, ignore_eos = true, stream = true }) })
        using (var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token))
        using (var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token)))
        {
            (await reader.ReadLineAsync(Token)).ShouldNotBeNull();
            (await RunningAsync(engine)).ShouldBe(1);
        }

        await _engine!.ReadyAsync(async _ => await RunningAsync(engine) == 0, Token);
        ValueOf(await _http.GetStringAsync(new Uri(engine, "/metrics"), Token), "llamacpp:tokens_predicted_total").ShouldBeLessThan(MostTokens / 2, "it did not go on to the end");
    }

    /// <summary>What others ask of a server that is not the pool's alone counts in its load, too.</summary>
    [Fact]
    public async Task What_it_holds_is_in_the_pools_figures()
    {
        await StartUrlAsync();
        (await MetricAsync("serverless_pool_kv_cache_capacity")).ShouldBe(2 * 2048);

        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Up.Address, "/v1/completions")) { Content = JsonContent.Create(new { model = "smol", prompt = "Once upon a time", max_tokens = 1500, ignore_eos = true, stream = true }) };
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
        await Up.Process.ReadyAsync(async _ => await MetricAsync("serverless_pool_kv_cache_used") >= 20, Token);
        (await MetricAsync("serverless_model_running_requests")).ShouldBe(1);
    }

    private static object[] Hello { get; } = [new { role = "user", content = "Tell me about the sea." }];

    private static object Chat(int tokens, bool stream = false) => stream
        ? new { model = "smol", messages = Hello, temperature = 0, max_tokens = tokens, ignore_eos = true, stream = true, stream_options = new { include_usage = true } }
        : new { model = "smol", messages = Hello, temperature = 0, max_tokens = tokens, ignore_eos = true };

    /// <summary>Numbers, of which each is far likelier than any other: the server's arithmetic depends a little on what it reads at once, and where two words are as good as equal it may say the other.</summary>
    private static object Counting(int tokens) => new
    {
        model = "smol",
        messages = new[] { new { role = "user", content = "Count." }, new { role = "assistant", content = Numbers }, new { role = "user", content = "Count." }, new { role = "assistant", content = Numbers }, new { role = "user", content = "Count." } },
        temperature = 0,
        max_tokens = tokens,
        ignore_eos = true,
        stream = true,
        stream_options = new { include_usage = true },
    };

    private static string Numbers { get; } = string.Join(", ", Enumerable.Range(1, 60));

    private static object Completion(int tokens) =>
        new { model = "smol", prompt = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10,", temperature = 0, max_tokens = tokens, ignore_eos = true, stream = true, stream_options = new { include_usage = true } };

    /// <summary>The llama-server that is a child of that process; null: none is.</summary>
    private static int? EngineOf(int parent)
    {
        foreach (var folder in Directory.GetDirectories("/proc").Where(folder => int.TryParse(Path.GetFileName(folder), out _)))
        {
            try
            {
                var stat = File.ReadAllText(Path.Combine(folder, "stat"));
                if (stat.Contains("(llama-server)", StringComparison.Ordinal) && stat.Split(") ")[1].Split(' ') is [not "Z", var owner, ..] && owner == $"{parent}") return int.Parse(Path.GetFileName(folder), CultureInfo.InvariantCulture);
            }
            catch (IOException)
            {
                // It went meanwhile.
            }
        }

        return null;
    }

    private static async Task SignalAsync(int process, string signal)
    {
        using var kill = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("kill", [$"-{signal}", $"{process}"]) { UseShellExecute = false, RedirectStandardError = true })!;
        await kill.WaitForExitAsync(Token);
    }

    private async Task StartChildAsync(string more = "") =>
        await StartAsync(LlamaServer.Manifests($"server: {await LlamaServer.PathAsync()}, slots: '2'{more}"));

    /// <summary>One that the test starts, named by its URL.</summary>
    private async Task<Uri> StartUrlAsync()
    {
        var address = new Uri($"http://127.0.0.1:{PartProcess.FreePort()}");
        _engine = PartProcess.Start("llama-server", await LlamaServer.PathAsync(), ["-m", LlamaServer.Model, "--host", "127.0.0.1", "--port", $"{address.Port}", "-np", "2", "-c", "4096", "--metrics"]);
        await _engine.ReadyAsync(async token => (await _http.GetAsync(new Uri(address, "/health"), token)).IsSuccessStatusCode, Token);
        await StartAsync(LlamaServer.Manifests($"url: '{address}'"));
        return address;
    }

    private async Task StartAsync(string manifests)
    {
        _up = await UpServer.StartNewAsync([manifests], Token);
        await AskAsync("/v1/completions", new { model = "smol", prompt = "x", max_tokens = 1 }); // it is loaded
    }

    private async Task<int> RunningAsync(Uri engine) => (int)ValueOf(await _http.GetStringAsync(new Uri(engine, "/metrics"), Token), "llamacpp:requests_processing");

    private async Task<double> MetricAsync(string name) => ValueOf(await _http.GetStringAsync(new Uri(Up.Address, "/metrics"), Token), name);

    private static double ValueOf(string metrics, string name) => metrics.Split('\n').Where(line => line.StartsWith(name + "{", StringComparison.Ordinal) || line.StartsWith(name + " ", StringComparison.Ordinal))
        .Sum(line => double.Parse(line[(line.IndexOf('}', StringComparison.Ordinal) + 1)..].Replace(name, "", StringComparison.Ordinal).Trim().Split(' ')[0], CultureInfo.InvariantCulture));

    private async Task<JsonNode> AskAsync(string path, object body)
    {
        using var response = await _http.PostAsJsonAsync(new Uri(Up.Address, path), body, Token);
        var text = await response.Content.ReadAsStringAsync(Token);
        response.IsSuccessStatusCode.ShouldBeTrue($"{text}\n{Up.Process.Output}");
        return JsonNode.Parse(text)!;
    }

    private async Task<Streamed> StreamAsync(string path, object body, Func<int, Task>? seen = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Up.Address, path)) { Content = JsonContent.Create(body) };
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Token));
        var streamed = new Streamed();
        var events = 0;
        while (await reader.ReadLineAsync(Token) is { } line)
        {
            if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
            if (line == "data: [DONE]") return streamed;

            var data = JsonNode.Parse(line["data: ".Length..])!;
            data["error"].ShouldBeNull($"{line}\n{Up.Process.Output}");
            streamed.Add(data);
            if (seen is not null) await seen(++events);
        }

        throw new InvalidOperationException($"The stream ended without [DONE]: {Up.Process.Output}");
    }

    /// <summary>A stream's events, put together.</summary>
    private sealed class Streamed
    {
        private readonly StringBuilder _text = new();

        public string Text => _text.ToString();

        public string? Finish { get; private set; }

        public JsonNode? Usage { get; private set; }

        public void Add(JsonNode data)
        {
            Usage = data["usage"] ?? Usage;
            foreach (var choice in data["choices"]!.AsArray())
            {
                Finish = choice!["finish_reason"]?.GetValue<string>() ?? Finish;
                _text.Append(choice["text"]?.GetValue<string>() ?? choice["delta"]?["content"]?.GetValue<string>());
            }
        }
    }
}
