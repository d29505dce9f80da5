using Serverless.Inference.Batching;
using Shouldly;

namespace Serverless.Tests.Inference.Batching;

/// <summary>The scheduler pass by pass, on the shipped model: no thread, no clock.</summary>
public sealed class BatchSchedulerTests : IDisposable
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

    private static bool IsDropped(int number) => number % 2 == 1;

    private static int Steps(Sequence sequence) => sequence.Steps.Reader.Count;

    private Sequence New(int number) => new(
        new GenerationRequest { Prompt = SharedModel.Tokenizer.Encode("Once upon", parseSpecial: false), MaxTokens = IsDropped(number) ? 2000 : Kept, Seed = (ulong)number, IgnoreEnd = true },
        SharedModel.Tokenizer,
        2048,
        IsDropped(number) ? _dropped.Token : CancellationToken.None);
}
