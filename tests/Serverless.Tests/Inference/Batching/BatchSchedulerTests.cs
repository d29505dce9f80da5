using Serverless.Inference.Batching;
using Serverless.Inference.Sampling;
using Shouldly;

namespace Serverless.Tests.Inference.Batching;

/// <summary>The scheduler pass by pass, on the shipped model: no thread, no clock.</summary>
public sealed class BatchSchedulerTests(ITestOutputHelper output) : IDisposable
{
    private const int Slots = 16;
    private const int Streams = 200;
    private const int Kept = 3;

    private readonly BatchScheduler _scheduler = new(SharedModel.Model, new InferenceEngineOptions { MaxSequences = Slots, Threads = 2, KvTokens = 4096 }, 2048, TimeProvider.System);
    private readonly CancellationTokenSource _dropped = new();

    public void Dispose()
    {
        _scheduler.Dispose();
        _dropped.Dispose();
    }

    [Fact]
    public void Of_200_streams_the_half_that_is_dropped_stops_within_two_passes_and_all_room_comes_back()
    {
        var sequences = Enumerable.Range(0, Streams).Select(New).ToList();
        foreach (var sequence in sequences) _scheduler.Add(sequence);
        for (var pass = 0; pass < 2; pass++) _scheduler.Step().ShouldBeTrue();
        _scheduler.Load.Running.ShouldBe(Slots);
        _scheduler.Load.KvTokensUsed.ShouldBeGreaterThan(0);

        _dropped.Cancel();
        _scheduler.Step();
        var after = sequences.Select(Steps).ToList();
        _scheduler.Step();

        for (var i = 0; i < Streams; i++)
        {
            if (IsDropped(i)) Steps(sequences[i]).ShouldBe(after[i], $"sequence {i} went on");
        }

        while (_scheduler.Step())
        {
            _scheduler.Load.Running.ShouldBeLessThanOrEqualTo(Slots);
        }

        for (var i = 0; i < Streams; i++)
        {
            if (IsDropped(i)) Steps(sequences[i]).ShouldBeLessThan(10);
            else Steps(sequences[i]).ShouldBe(Kept);
        }

        (_scheduler.Load.Running, _scheduler.Load.Waiting, _scheduler.Load.KvTokensUsed).ShouldBe((0, 0, 0));
    }

    [Fact]
    public async Task What_is_dropped_ends_as_cancelled_and_not_as_a_short_answer()
    {
        var (running, waiting) = (New(1), New(3));
        _scheduler.Add(running);
        _scheduler.Step();
        _scheduler.Add(waiting);

        await _dropped.CancelAsync();
        _scheduler.Step();

        // Read as by one whose own token has not told it yet.
        await Should.ThrowAsync<OperationCanceledException>(async () => await running.Steps.Reader.ReadAllAsync(CancellationToken.None).CountAsync(CancellationToken.None));
        await Should.ThrowAsync<OperationCanceledException>(async () => await waiting.Steps.Reader.ReadAllAsync(CancellationToken.None).CountAsync(CancellationToken.None));
    }

    [Fact]
    public void Sixteen_choices_of_one_prompt_cost_one_prefill()
    {
        var prompt = Enumerable.Range(100, 75).ToArray();
        var choices = Enumerable.Range(0, 16).Select(choice => Add(new GenerationRequest { Prompt = prompt, MaxTokens = 1, Seed = (ulong)choice })).ToList();

        Run();

        choices.ShouldAllBe(choice => Steps(choice) == 1);
        _scheduler.Rows.ShouldBe(75 + 15, "each but the first runs the last token alone");
    }

    [Theory]
    [InlineData(97, 96)] // whole pages
    [InlineData(96, 95)] // the last of them copied: its last token has to be run
    [InlineData(110, 109)] // part of a page
    public void A_prompt_that_was_read_before_is_cached_and_says_so(int length, int cached)
    {
        var request = new GenerationRequest { Prompt = [.. Enumerable.Range(100, length)], MaxTokens = 2 };
        var first = Add(request);
        Run();
        var before = _scheduler.Rows;
        var second = Add(request);
        Run();

        Cached(first).ShouldBe(0);
        Cached(second).ShouldBe(cached);
        (_scheduler.Rows - before).ShouldBe(length - cached + 1);
        _scheduler.Load.KvTokensUsed.ShouldBe(0);
    }

    /// <summary>What a request reports as cached, and how soon it answers, must not tell a tenant what another asks: of what runs and of what has ended.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_another_tenant_has_asked_is_not_cached(bool runs)
    {
        int[] prompt = [.. Enumerable.Range(100, 75)];
        var first = Add(new GenerationRequest { Prompt = prompt, MaxTokens = runs ? 100 : 1, IgnoreEnd = true, Tenant = "acme:research" });
        while (Steps(first) == 0) _scheduler.Step();

        var others = Add(new GenerationRequest { Prompt = [.. prompt[..70], 7], MaxTokens = 1, Tenant = "acme:sales" });
        var own = Add(new GenerationRequest { Prompt = [.. prompt[..70], 8], MaxTokens = 1, Tenant = "acme:research" });
        Run();

        (Cached(others), Cached(own)).ShouldBe((0, 70));
    }

    /// <summary>The page that begins alike is one of those that the sequence needs: it must not be kept for copying.</summary>
    [Fact]
    public void A_prompt_that_takes_the_whole_cache_is_let_in_over_one_that_began_alike()
    {
        using var small = new BatchScheduler(SharedModel.Model, new InferenceEngineOptions { MaxSequences = 4, Threads = 1, KvTokens = 64 }, 64, TimeProvider.System);
        var first = Of([.. Enumerable.Range(100, 40)]);
        var second = Of([.. Enumerable.Range(100, 36), .. Enumerable.Range(700, 24)]);

        foreach (var sequence in new[] { first, second })
        {
            small.Add(sequence);
            while (small.Step())
            {
            }
        }

        (Steps(first), Steps(second), small.Load.Waiting).ShouldBe((1, 1, 0));

        static Sequence Of(int[] prompt) => new(new GenerationRequest { Prompt = prompt, MaxTokens = 1 }, SharedModel.Tokenizer, 64, CancellationToken.None);
    }

    [Fact]
    public void What_an_answer_says_is_cached_for_the_question_that_follows()
    {
        int[] prompt = [.. Enumerable.Range(100, 40)];
        var first = Add(new GenerationRequest { Prompt = prompt, MaxTokens = 60, IgnoreEnd = true });
        Run();
        var answer = new List<int>();
        while (first.Steps.Reader.TryRead(out var step)) answer.Add(step.Token);

        var second = Add(new GenerationRequest { Prompt = [.. prompt, .. answer, 7, 8, 9], MaxTokens = 1 });
        Run();

        Cached(second).ShouldBe(99, "the answer's last token was never run");
    }

    [Fact]
    public void A_lower_lane_gives_way_to_a_higher_one_and_goes_on_from_what_is_cached()
    {
        var batch = Enumerable.Range(0, Slots).Select(i => Add(new GenerationRequest { Prompt = [.. Enumerable.Range(100 * i, 40)], MaxTokens = 60, IgnoreEnd = true, Lane = 2 })).ToList();
        while (batch.Any(one => Steps(one) == 0)) _scheduler.Step();
        var urgent = Add(new GenerationRequest { Prompt = [1, 2, 3], MaxTokens = 1, Lane = 1 });

        _scheduler.Step();

        Steps(urgent).ShouldBe(1);
        (_scheduler.Preemptions, _scheduler.Load.Running).ShouldBe((1, Slots - 1));
        Run();
        batch.ShouldAllBe(one => Steps(one) == 60);
        _scheduler.Rows.ShouldBe((Slots * (40 + 59)) + 3, "nothing is computed twice");
    }

    [Fact]
    public void A_pass_that_brings_a_first_token_leaves_out_those_that_nobody_waits_for()
    {
        var batch = Enumerable.Range(0, 4).Select(i => Add(new GenerationRequest { Prompt = [.. Enumerable.Range(100 * i, 40)], MaxTokens = 30, IgnoreEnd = true, Lane = 2, Unattended = true })).ToList();
        var person = Add(new GenerationRequest { Prompt = [1, 2, 3], MaxTokens = 20, IgnoreEnd = true, Lane = 1 });
        while (batch.Concat([person]).Any(one => Steps(one) < 2)) _scheduler.Step();
        var (before, others) = (batch.Select(Steps).ToList(), Steps(person));
        var next = Add(new GenerationRequest { Prompt = [4, 5, 6], MaxTokens = 10, IgnoreEnd = true, Lane = 1 });

        _scheduler.Step();

        (Steps(next), Steps(person)).ShouldBe((1, others + 1), "whom somebody waits for goes on beside it");
        batch.Select(Steps).ShouldBe(before);
        _scheduler.Step();
        batch.Select(Steps).ShouldBe(before.Select(steps => steps + 1));
        Run();
        batch.ShouldAllBe(one => Steps(one) == 30);
    }

    [Fact]
    public void The_vocabulary_is_looked_through_once_for_all_choices_of_a_request()
    {
        var dry = new DryOptions { Multiplier = 1 };

        var breakers = DryBreakers.Of(SharedModel.Tokenizer, dry);

        DryBreakers.Of(SharedModel.Tokenizer, dry).ShouldBeSameAs(breakers);
        DryBreakers.Of(SharedModel.Tokenizer, dry with { Breakers = ["x"] }).Count.ShouldNotBe(breakers.Count);
    }

    [Fact]
    public void Who_is_due_first_is_read_first()
    {
        var late = Add(new GenerationRequest { Prompt = [.. Enumerable.Range(100, 400)], MaxTokens = 1 });
        var soon = Add(new GenerationRequest { Prompt = [.. Enumerable.Range(700, 20)], MaxTokens = 1, Deadline = DateTimeOffset.UnixEpoch });

        _scheduler.Step();

        (Steps(soon), Steps(late)).ShouldBe((1, 0));
    }

    [Fact]
    public void A_pass_that_decodes_allocates_no_more_than_its_texts()
    {
        using var alone = new BatchScheduler(SharedModel.Model, new InferenceEngineOptions { MaxSequences = 4, Threads = 1, KvTokens = 2048 }, 1024, TimeProvider.System);
        for (var i = 0; i < 4; i++)
        {
            var request = new GenerationRequest { Prompt = [1, 2, 3, 4 + i], MaxTokens = 200, IgnoreEnd = true, Sampling = new SamplingOptions { TopP = 0.95, RepetitionPenalty = 1.1 } };
            alone.Add(new Sequence(request, SharedModel.Tokenizer, 1024, CancellationToken.None));
        }

        for (var pass = 0; pass < 20; pass++) alone.Step().ShouldBeTrue();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var pass = 0; pass < 100; pass++) alone.Step().ShouldBeTrue();

        var each = (GC.GetAllocatedBytesForCurrentThread() - before) / 400;
        output.WriteLine($"{each} bytes a token");
        each.ShouldBeLessThan(400);
    }

    private static bool IsDropped(int number) => number % 2 == 1;

    private static int Steps(Sequence sequence) => sequence.Steps.Reader.Count;

    private static int Cached(Sequence sequence) => sequence.Steps.Reader.TryRead(out var step) ? step.Cached : -1;

    private void Run()
    {
        while (_scheduler.Step())
        {
        }
    }

    private Sequence Add(GenerationRequest request)
    {
        var sequence = new Sequence(request, SharedModel.Tokenizer, 2048, CancellationToken.None);
        _scheduler.Add(sequence);
        return sequence;
    }

    private Sequence New(int number) => new(
        new GenerationRequest { Prompt = SharedModel.Tokenizer.Encode("Once upon", parseSpecial: false), MaxTokens = IsDropped(number) ? 2000 : Kept, Seed = (ulong)number, IgnoreEnd = true },
        SharedModel.Tokenizer,
        2048,
        IsDropped(number) ? _dropped.Token : CancellationToken.None);
}
