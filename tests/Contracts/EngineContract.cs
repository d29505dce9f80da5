using System.Text.Json;
using Serverless.Catalog;
using Serverless.Engines;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Contracts;

/// <summary>What every engine behind <see cref="IEngine"/> does; loaded by its factory, as a replica loads it.</summary>
public abstract class EngineContract
{
    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>Slots that <see cref="LoadAsync"/> gives it.</summary>
    protected const int Slots = 4;

    /// <summary>Loads one of <see cref="Slots"/> slots that answers "Once upon a time" with no fewer than eight tokens.</summary>
    protected abstract Task<IEngine> LoadAsync();

    /// <summary>The temperature of its requests: 0 for an engine that draws other numbers where it goes on.</summary>
    protected virtual double Temperature => 1;

    /// <summary>One whose second request is to fail where it is <see cref="Failing"/>.</summary>
    protected virtual Task<IEngine> LoadFailingAsync() => LoadAsync();

    /// <summary>A request that fails by itself, as the second of <see cref="LoadFailingAsync"/>.</summary>
    protected abstract InferenceRequest Failing { get; }

    [Fact]
    public async Task It_streams_each_choice_in_order_and_says_what_was_used_last()
    {
        await using var engine = await LoadAsync();

        var outputs = await GenerateAsync(engine, Request(8) with { Choices = 2 });

        outputs.SkipLast(1).ShouldAllBe(output => output.Usage == null);
        foreach (var choice in new[] { 0, 1 })
        {
            var chunks = Chunks(outputs).Where(chunk => chunk.Choice == choice).ToList();
            chunks.Where(chunk => chunk.TokenIds.Count > 0).Select(chunk => chunk.Position).ShouldBe(Enumerable.Range(0, 8)); // an end may come by itself
            chunks.SkipLast(1).ShouldAllBe(chunk => chunk.Finish == null);
            chunks[^1].Finish.ShouldBe(FinishReason.Length);
        }

        var usage = outputs[^1].Usage.ShouldNotBeNull();
        usage.CompletionTokens.ShouldBe(16);
        usage.PromptTokens.ShouldBeGreaterThan(0);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    public async Task It_gives_no_more_tokens_than_it_may(int most)
    {
        await using var engine = await LoadAsync();

        var outputs = await GenerateAsync(engine, Request(most));

        Chunks(outputs).Sum(chunk => chunk.TokenIds.Count).ShouldBe(most);
        Chunks(outputs).Last().Finish.ShouldBe(FinishReason.Length);
    }

    [Fact]
    public async Task One_seed_is_one_answer()
    {
        await using var engine = await LoadAsync();

        Show(await GenerateAsync(engine, Request(8))).ShouldBe(Show(await GenerateAsync(engine, Request(8))));
    }

    [Fact]
    public async Task It_continues_from_what_is_logged()
    {
        await using var engine = await LoadAsync();
        var whole = await GenerateAsync(engine, Request(8));
        ChoiceChunk[] logged = [.. Chunks(whole).Take(3)];

        var rest = await GenerateAsync(engine, Request(8), logged);

        Chunks(rest).First().Position.ShouldBe(3);
        Chunks(rest).Last(chunk => chunk.TokenIds.Count > 0).Position.ShouldBe(7);
        (Text(whole.Take(3)) + Text(rest)).ShouldBe(Text(whole));
        rest[^1].Usage.ShouldNotBeNull().CompletionTokens.ShouldBe(8);
    }

    [Fact]
    public async Task A_stop_string_ends_the_answer_before_it()
    {
        await using var engine = await LoadAsync();
        var whole = Text(await GenerateAsync(engine, Request(8)));
        foreach (var stop in new[] { whole[(whole.Length / 2)..(whole.Length / 2 + 1)], whole[(whole.Length / 2)..(whole.Length / 2 + 6)], whole[^2..] })
        {
            var request = Request(8, stop, "never said");

            var outputs = await GenerateAsync(engine, request);

            Text(outputs).ShouldBe(whole[..whole.IndexOf(stop, StringComparison.Ordinal)], $"stop: '{stop}'");
            Chunks(outputs).Count(chunk => chunk.Finish is not null).ShouldBe(1);
            Chunks(outputs).Last().Finish.ShouldBe(FinishReason.Stop);
            outputs[^1].Usage.ShouldNotBeNull().CompletionTokens.ShouldBe(Chunks(outputs).Sum(chunk => chunk.TokenIds.Count));

            // Lost after any of its tokens, it goes on to the same end; what was begun of the stop string is known again.
            ChoiceChunk[] logged = [.. Chunks(outputs)];
            for (var split = 1; split <= logged.Length; split++)
            {
                var rest = await GenerateAsync(engine, request, logged[..split]);
                (string.Concat(logged[..split].Select(chunk => chunk.Text)) + Text(rest)).ShouldBe(Text(outputs), $"stop: '{stop}', continued after {split}");
                rest[^1].Usage.ShouldNotBeNull().CompletionTokens.ShouldBe(outputs[^1].Usage!.CompletionTokens);
            }
        }
    }

    [Fact]
    public async Task A_stop_string_that_does_not_come_takes_nothing_away()
    {
        await using var engine = await LoadAsync();
        var whole = await GenerateAsync(engine, Request(8));

        var outputs = await GenerateAsync(engine, Request(8, Text(whole)[^1..] + "and more"));

        Text(outputs).ShouldBe(Text(whole));
        Chunks(outputs).Last().Finish.ShouldBe(FinishReason.Length);
    }

    [Fact]
    public async Task Cancelled_it_stops_within_two_steps()
    {
        await using var engine = await LoadAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var after = -1;

        await Should.ThrowAsync<OperationCanceledException>(async () =>
        {
            await foreach (var output in engine.GenerateAsync(Request(200), [], stop.Token))
            {
                if (after++ < 0) await stop.CancelAsync();
            }
        }).WithinLimitAsync();

        after.ShouldBeLessThanOrEqualTo(2);
    }

    [Fact]
    public async Task As_many_as_it_has_slots_run_at_once_and_each_gets_its_own()
    {
        await using var engine = await LoadAsync();
        engine.Slots.ShouldBe(Slots);
        var alone = Show(await GenerateAsync(engine, Request(8)));

        var together = await Task.WhenAll(Enumerable.Range(0, Slots).Select(_ => GenerateAsync(engine, Request(8)))).WithinLimitAsync();

        together.ShouldAllBe(outputs => Show(outputs) == alone);
        engine.Load.Running.ShouldBeLessThanOrEqualTo(Slots);
    }

    [Fact]
    public async Task A_request_that_fails_fails_alone()
    {
        await using var engine = await LoadFailingAsync();
        var beside = GenerateAsync(engine, Request(8));

        await Should.ThrowAsync<Exception>(() => GenerateAsync(engine, Failing).WithinLimitAsync());

        (await beside.WithinLimitAsync())[^1].Usage.ShouldNotBeNull();
        (await GenerateAsync(engine, Request(8)))[^1].Usage.ShouldNotBeNull();
        engine.Lost.IsCompleted.ShouldBeFalse();
    }

    /// <summary>Of an engine that is put away all the same whoever listens is not left waiting.</summary>
    [Fact]
    public async Task Put_away_while_something_runs_it_leaves_nobody_waiting()
    {
        var engine = await LoadAsync();
        await using var running = engine.GenerateAsync(Request(200), [], Token).Enumerate(Token);
        (await running.MoveNextAsync().WithinLimitAsync()).ShouldBeTrue();

        await engine.DisposeAsync().AsTask().WithinLimitAsync();

        await ToTheEndAsync().WithinLimitAsync();

        async Task ToTheEndAsync()
        {
            try
            {
                while (await running.MoveNextAsync())
                {
                }
            }
            catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException or InvalidOperationException)
            {
            }
        }
    }

    /// <summary>A completion that does not end before its cap.</summary>
    protected InferenceRequest Request(int most, params string[] stop) => TestRequests.New() with
    {
        Endpoint = EndpointName.Completions,
        Body = JsonSerializer.SerializeToUtf8Bytes(new { prompt = "Once upon a time", ignore_eos = true, temperature = Temperature, stop }),
        MaxOutputTokens = most,
        Seed = 7,
    };

    /// <summary>A pool of that engine.</summary>
    protected static Pool PoolOf(string backend, ModelSource source, params (string Name, string Value)[] parameters) => new Model
    {
        Name = TestRequests.Model,
        Family = "test",
        Source = source,
        ContextTokens = 1000,
        Backend = backend,
        Flavors = [new Flavor { Name = "cpu", AcceleratorClass = "cpu", Params = parameters.ToDictionary(param => param.Name, param => param.Value) }],
    }.Pools[0];

    private static async Task<List<EngineOutput>> GenerateAsync(IEngine engine, InferenceRequest request, IReadOnlyList<ChoiceChunk>? output = null)
    {
        var outputs = new List<EngineOutput>();
        await foreach (var step in engine.GenerateAsync(request, output ?? [], Token)) outputs.Add(step);
        return outputs;
    }

    private static IEnumerable<ChoiceChunk> Chunks(IEnumerable<EngineOutput> outputs) => outputs.Select(output => output.Chunk).OfType<ChoiceChunk>();

    private static string Text(IEnumerable<EngineOutput> outputs) => string.Concat(Chunks(outputs).Select(chunk => chunk.Text));

    private static string Show(IEnumerable<EngineOutput> outputs) => string.Join(' ', Chunks(outputs).Select(chunk => $"{chunk.Position}:{string.Join(',', chunk.TokenIds)}"));
}
