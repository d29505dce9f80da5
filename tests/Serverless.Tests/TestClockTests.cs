namespace Serverless.Tests;

public sealed class TestClockTests
{
    private readonly TestClock _clock = new();
    private readonly List<string> _called = [];

    [Fact]
    public void What_is_due_is_called_back_in_the_order_in_which_it_was_due_by_who_advances_the_time()
    {
        using var later = Timer("later", 2);
        using var each = Timer("each", 1, 2);
        using var first = Timer("first", 1);

        _clock.Advance(TimeSpan.FromSeconds(0.9));
        _ = _clock.GetUtcNow();
        Assert.Empty(_called);

        _clock.Advance(TimeSpan.FromSeconds(4.2));
        Assert.Equal(["each", "first", "later", "each", "each"], _called);
    }

    [Fact]
    public void A_callback_that_throws_or_disposes_of_its_timer_keeps_no_other_from_its_tick()
    {
        using var throws = _clock.CreateTimer(_ => throw new InvalidOperationException(), null, TimeSpan.FromSeconds(1), Timeout.InfiniteTimeSpan);
        using var each = Timer("each", 1, 1);
        ITimer? gone = null;
        gone = _clock.CreateTimer(_ => gone!.Dispose(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));

        Assert.Throws<InvalidOperationException>(() => _clock.Advance(TimeSpan.FromSeconds(1)));
        _clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(["each", "each"], _called);
    }

    [Fact]
    public void A_callback_may_advance_the_time()
    {
        using var each = Timer("each", 2, 1);
        using var once = _clock.CreateTimer(_ => _clock.Advance(TimeSpan.FromSeconds(1)), null, TimeSpan.FromSeconds(1), Timeout.InfiniteTimeSpan);

        _clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(["each"], _called);
    }

    [Fact]
    public void The_wall_may_be_set_and_no_time_passes()
    {
        using var timer = Timer("timer", 1);
        var stamp = _clock.GetTimestamp();

        _clock.Set(_clock.GetUtcNow().AddDays(1));
        Assert.Equal(stamp, _clock.GetTimestamp());
        Assert.Empty(_called);

        _clock.Set(_clock.GetUtcNow().AddDays(-2));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["timer"], _called);
    }

    [Fact]
    public async Task No_tick_is_lost_while_threads_make_change_and_dispose_of_timers()
    {
        using var stop = new CancellationTokenSource();
        var others = Enumerable.Range(0, 3).Select(seed => Task.Run(() =>
        {
            var random = new Random(seed);
            while (!stop.IsCancellationRequested)
            {
                using var timer = _clock.CreateTimer(_ => { }, null, Seconds(random), Seconds(random));
                timer.Change(Seconds(random), Seconds(random));
                _clock.GetUtcNow();
            }
        }, TestContext.Current.CancellationToken)).ToArray();
        using var each = Timer("each", 1, 1);

        for (var second = 0; second < 2000; second++) _clock.Advance(TimeSpan.FromSeconds(1));
        await stop.CancelAsync();
        await Task.WhenAll(others);

        Assert.Equal(2000, _called.Count);

        static TimeSpan Seconds(Random random) => random.Next(4) is var seconds and > 0 ? TimeSpan.FromSeconds(seconds) : Timeout.InfiniteTimeSpan;
    }

    private ITimer Timer(string name, double due, double period = -0.001) => _clock.CreateTimer(_ => _called.Add(name), null, TimeSpan.FromSeconds(due), TimeSpan.FromSeconds(period));
}
