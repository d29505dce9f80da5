using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Hosting.Engines.Simulated;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Worker;

public sealed class SimulatedEngineTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private readonly TestClock _time = new();

    [Theory]
    [InlineData(16, "stop")]
    [InlineData(5, "length")]
    public async Task It_gives_its_words_up_to_the_cap_and_says_why_it_ended(int cap, string finish)
    {
        await using var engine = new SimulatedEngine(new SimulatedEngineOptions(), _time);

        var outputs = await GenerateAsync(engine, TestRequests.New() with { MaxOutputTokens = cap, Choices = 2 }, []);

        outputs[^1].Usage.ShouldBe(new TokenUsage(10, 2 * cap));
        foreach (var choice in new[] { 0, 1 })
        {
            var chunks = outputs.Select(output => output.Chunk).OfType<ChoiceChunk>().Where(chunk => chunk.Choice == choice).ToList();
            chunks.Select(chunk => chunk.Position).ShouldBe(Enumerable.Range(0, cap));
            chunks[^1].Finish.ShouldBe(new FinishReason(finish));
        }

        (engine.Load.Running, engine.Load.KvUsedTokens).ShouldBe((0, 0));
    }

    [Fact]
    public async Task It_continues_exactly_from_what_is_logged()
    {
        await using var engine = new SimulatedEngine(new SimulatedEngineOptions(), _time);
        var request = TestRequests.New() with { Choices = 2 };
        var whole = await GenerateAsync(engine, request, []);

        for (var split = 0; split < whole.Count; split++)
        {
            var rest = await GenerateAsync(engine, request, [.. whole.Take(split).Select(output => output.Chunk).OfType<ChoiceChunk>()]);

            rest.Select(Show).ShouldBe(whole.Skip(split).Select(Show), $"after {split}");
        }
    }

    [Fact]
    public async Task Its_rates_take_their_time()
    {
        await using var engine = new SimulatedEngine(new SimulatedEngineOptions { PrefillTokensPerSecond = 10, DecodeTokensPerSecond = 2, OutputTokens = 4 }, _time);
        var started = _time.GetUtcNow();

        var generating = GenerateAsync(engine, TestRequests.New(), []);
        engine.Load.Running.ShouldBe(1);
        await _time.PassUntilAsync(generating, TimeSpan.FromMilliseconds(100));

        (await generating).Count.ShouldBe(5);
        (_time.GetUtcNow() - started).ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(1 + 2));
    }

    [Fact]
    public async Task It_fails_and_crashes_where_its_flavor_asks()
    {
        await using var failing = new SimulatedEngine(new SimulatedEngineOptions { FailEvery = 2, FailAfterTokens = 3 }, _time);
        (await GenerateAsync(failing, TestRequests.New(), [])).Count.ShouldBe(17);
        await Should.ThrowAsync<InvalidOperationException>(GenerateAsync(failing, TestRequests.New(), []));
        failing.Lost.IsCompleted.ShouldBeFalse();

        await using var crashing = new SimulatedEngine(new SimulatedEngineOptions { CrashEvery = 1 }, _time);
        await Should.ThrowAsync<InvalidOperationException>(GenerateAsync(crashing, TestRequests.New(), []));
        crashing.Lost.IsCompleted.ShouldBeTrue();
    }

    [Theory]
    [InlineData("slots", "0")]
    [InlineData("slots", "many")]
    [InlineData("decodeTokensPerSecond", "-1")]
    [InlineData("decodeTokensPerSecond", "NaN")]
    [InlineData("unheardOf", "1")]
    public async Task A_parameter_out_of_range_or_unknown_fails_the_load_by_name(string key, string value)
    {
        var factory = new SimulatedEngineFactory(_time);

        var thrown = await Should.ThrowAsync<EngineLoadException>(factory.LoadAsync(Pool(new() { [key] = value }), new Progress<double>(), Token));

        thrown.Message.ShouldContain(key);
    }

    [Fact]
    public async Task Loads_take_their_seconds_and_fail_as_often_as_asked()
    {
        var factory = new SimulatedEngineFactory(_time);
        var pool = Pool(new() { ["loadSeconds"] = "30", ["failLoads"] = "1" });

        var first = factory.LoadAsync(pool, new Progress<double>(), Token);
        first.IsCompleted.ShouldBeFalse();
        _time.Advance(TimeSpan.FromSeconds(30));
        await Should.ThrowAsync<EngineLoadException>(first.WithinLimitAsync());

        var second = factory.LoadAsync(pool, new Progress<double>(), Token);
        _time.Advance(TimeSpan.FromSeconds(30));
        (await second.WithinLimitAsync()).Name.ShouldBe("simulated");
    }

    private static Pool Pool(Dictionary<string, string> parameters)
    {
        var flavor = new Flavor { Name = "cpu", AcceleratorClass = "cpu", Params = parameters };
        var model = new Model
        {
            Name = TestRequests.Model,
            Family = "test",
            OwnedBy = "tests",
            CreatedAt = TestRequests.Deadline,
            Source = new ModelSource("simulated", "tiny"),
            ContextTokens = 1000,
            Backend = "simulated",
            Flavors = [flavor],
        };
        return new ModelCatalog([model]).Pools.Single();
    }

    private static async Task<List<EngineOutput>> GenerateAsync(SimulatedEngine engine, InferenceRequest request, IReadOnlyList<ChoiceChunk> output)
    {
        var outputs = new List<EngineOutput>();
        await foreach (var next in engine.GenerateAsync(request, output, Token)) outputs.Add(next);
        return outputs;
    }

    private static string Show(EngineOutput output) => output.Chunk is { } chunk ? $"{chunk.Choice} {chunk.Position} {chunk.Text} {chunk.Finish}" : $"{output.Usage}";
}
