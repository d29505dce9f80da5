using Serverless.Loops;

namespace Serverless.Tests.Loops;

public sealed class AlignedTimeTests
{
    [Fact]
    public void Slow_periodic_timers_are_due_at_the_same_moment_of_a_second_and_never_later_than_asked_for()
    {
        var random = new Random(20261130);
        HashSet<long> moments = [];
        for (var i = 0; i < 1000; i++)
        {
            var now = random.NextInt64(1L << 40);
            var due = TimeSpan.FromMilliseconds(random.Next(1000, 100_000));
            var aligned = AlignedTime.Align(due, TimeSpan.FromSeconds(random.Next(1, 60)), now);
            Assert.InRange(aligned, due - TimeSpan.FromMilliseconds(999), due);
            moments.Add((now + (long)aligned.TotalMilliseconds) % 1000);
        }

        Assert.Single(moments);
    }

    [Theory]
    [InlineData(5000, -1)] // once
    [InlineData(-1, -1)] // not yet
    [InlineData(-1, 5000)]
    [InlineData(200, 200)]
    [InlineData(5000, 200)]
    [InlineData(0, 5000)] // at once
    public void Others_are_due_when_they_are_asked_for(int due, int period) =>
        Assert.Equal(TimeSpan.FromMilliseconds(due), AlignedTime.Align(TimeSpan.FromMilliseconds(due), TimeSpan.FromMilliseconds(period), 123_456));

    [Fact]
    public void Only_the_systems_time_is_aligned()
    {
        var clock = new TestClock();
        Assert.Same(clock, clock.Aligned());
        Assert.NotSame(TimeProvider.System, TimeProvider.System.Aligned());
        Assert.Same(TimeProvider.System.Aligned(), TimeProvider.System.Aligned());
    }
}
