using Serverless.Loops;
using Shouldly;

namespace Serverless.Tests.Loops;

public sealed class SupervisorTests : ILoopObserver
{
    private readonly TestClock _time = new();
    private readonly List<(string Loop, string Subject, Exception Exception, TimeSpan? Pause)> _failed = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_body_that_fails_is_run_again_whatever_it_throws()
    {
        Exception[] faults = [new InvalidOperationException(), new OperationCanceledException(), new TimeoutException("once more"), new TimeoutException()];
        var runs = 0;
        var supervisor = new Supervisor(_time, this);

        var loop = supervisor.RunAsync("test", _ => runs < faults.Length ? throw faults[runs++] : Task.CompletedTask, Token, "m");
        await _time.PassUntilAsync(loop, Supervisor.LongestPause);
        await loop;

        _failed.Select(failure => failure.Exception).ShouldBe(faults);
        _failed.ShouldAllBe(failure => failure.Loop == "test" && failure.Subject == "m" && failure.Pause > TimeSpan.Zero);
        supervisor.Loops.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_loop_that_is_stopped_ends_without_a_failure_also_while_it_pauses()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var supervisor = new Supervisor(_time, this);
        var running = supervisor.RunAsync("running", token => UntilAsync(Timeout.InfiniteTimeSpan, token), stop.Token);
        var pausing = supervisor.RunAsync("pausing", _ => throw new InvalidOperationException(), stop.Token);

        await stop.CancelAsync();
        await Task.WhenAll(running, pausing).WithinLimitAsync();

        _failed.ShouldHaveSingleItem().Loop.ShouldBe("pausing");
    }

    [Fact]
    public async Task A_loop_that_fails_three_times_in_a_row_is_failing_until_it_has_run_for_a_minute()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var supervisor = new Supervisor(_time, this);
        var healthy = new TaskCompletionSource();
        var runs = 0;
        var loop = supervisor.RunAsync("test", async token =>
        {
            if (++runs == 4) await UntilAsync(TimeSpan.FromMinutes(2), token);
            if (runs == 6) { healthy.SetResult(); await UntilAsync(Timeout.InfiniteTimeSpan, token); }
            throw new InvalidOperationException();
        }, stop.Token);

        await _time.PassUntilAsync(() => runs == 4, "it runs for the fourth time");
        supervisor.Loops.Single().ShouldBe(new LoopState("test", "", 3, 3, Paused: false));
        supervisor.Loops.Single().IsFailing.ShouldBeTrue();

        await _time.PassUntilAsync(healthy.Task);
        supervisor.Loops.Single().IsFailing.ShouldBeFalse();

        await stop.CancelAsync();
        await loop.WithinLimitAsync();
    }

    [Fact]
    public async Task A_loop_that_cannot_begin_anew_stops_the_process_also_when_it_just_ends()
    {
        var supervisor = new Supervisor(_time, this);

        await supervisor.RunOnceAsync("throws", _ => throw new InvalidOperationException("why"), Token);
        await supervisor.RunOnceAsync("ends", _ => Task.CompletedTask, Token);

        _failed.Select(failure => (failure.Loop, failure.Pause)).ShouldBe([("throws", null), ("ends", null)]);
    }

    [Fact]
    public void Pauses_double_to_the_longest_and_are_never_in_step()
    {
        var (first, longest) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10));
        Backoff[] many = [.. Enumerable.Range(0, 100).Select(seed => new Backoff(first, longest, new Random(seed)))];

        foreach (var nominal in (double[])[1, 2, 4, 8, 10, 10])
        {
            var pauses = many.Select(backoff => backoff.Next().TotalSeconds).ToArray();
            pauses.ShouldAllBe(pause => pause >= nominal / 2 && pause <= nominal);
            pauses.Distinct().Count().ShouldBeGreaterThan(90);
        }

        many[0].Reset();
        many[0].Next().ShouldBeLessThanOrEqualTo(first);
    }

    private async Task UntilAsync(TimeSpan span, CancellationToken token)
    {
        using var timer = span == Timeout.InfiniteTimeSpan ? null : new PeriodicTimer(span, _time);
        if (timer is not null) await timer.WaitForNextTickAsync(token);
        else await new TaskCompletionSource().Task.WaitAsync(token);
    }

    void ILoopObserver.Failed(string loop, string subject, Exception exception, TimeSpan? pause) => _failed.Add((loop, subject, exception, pause));
}
