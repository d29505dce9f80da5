using System.Runtime.InteropServices;
using Serverless.Cli.Shell;
using Shouldly;

namespace Serverless.Tests.Cli;

public sealed class InterruptionTests
{
    [Theory]
    [InlineData(PosixSignal.SIGINT, ExitCode.Interrupted)]
    [InlineData(PosixSignal.SIGTERM, ExitCode.Terminated)]
    public void The_first_signal_ends_in_good_order_and_the_second_cuts(PosixSignal signal, int code)
    {
        var clock = new TestClock();
        using var interruption = new Interruption(clock);

        interruption.Take(signal).ShouldBeFalse();
        interruption.Token.IsCancellationRequested.ShouldBeTrue();
        interruption.ExitCode.ShouldBe(code);

        clock.Advance(TimeSpan.FromSeconds(1));
        interruption.Take(signal).ShouldBeTrue();
    }

    [Fact]
    public void A_second_of_a_person_cuts_at_once_but_SIGTERM_comes_twice_from_timeout()
    {
        using var interruption = new Interruption(new TestClock());

        interruption.Take(PosixSignal.SIGTERM);

        interruption.Take(PosixSignal.SIGTERM).ShouldBeFalse();
        interruption.Take(PosixSignal.SIGINT).ShouldBeTrue();
    }
}
