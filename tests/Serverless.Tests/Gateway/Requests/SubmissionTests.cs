using Serverless.Errors;
using Serverless.Gateway.Requests;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.Requests;

public sealed class SubmissionTests
{
    private static readonly DateTimeOffset Start = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);
    private static readonly EnqueueResult Away = new(new ServingFault(ServingError.StoreUnavailable, "away"));
    private static readonly EnqueueResult Full = new(new ServingFault(ServingError.QueueFull, "full"));
    private static readonly RequestEvent Accepted = new RequestEvent.Accepted(Start);

    private readonly Submission _submission = new(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(15));

    [Fact]
    public void A_queue_that_cannot_be_reached_refuses_what_it_never_had() => _submission.Submitted(Away, Start).ShouldBe(Away.Fault);

    [Fact]
    public void What_the_queue_had_is_due_again_and_again_ever_more_slowly_while_it_cannot_be_reached_and_says_so()
    {
        var times = DueTimes(9, tries => tries == 1 ? EnqueueResult.Enqueued : Away);

        double[] longest = [5, 0.5, 1, 2, 4, 5, 5, 5];
        for (var i = 0; i < longest.Length; i++) (times[i + 1] - times[i]).ShouldBeInRange((i == 0 ? longest[i] : longest[i] / 2) - 0.11, longest[i] + 0.11);
        _submission.Outage.ShouldBe(Away.Fault);
        _submission.Submitted(EnqueueResult.Enqueued, At(100));
        _submission.Outage.ShouldBeNull();
    }

    [Fact]
    public void Waiting_behind_others_at_a_dispatcher_that_lives_is_no_silence()
    {
        _submission.Submitted(EnqueueResult.Enqueued, Start);
        _submission.Heard(Accepted, Start);
        for (var second = 1; second <= 120; second++)
        {
            _submission.DispatcherHeard(At(second), At(second));
            _submission.IsDue(At(second)).ShouldBeFalse($"second {second}");
        }

        _submission.DispatcherHeard(At(120), At(135));
        _submission.IsDue(At(135)).ShouldBeTrue("it fell silent");
    }

    [Fact]
    public void A_dispatcher_that_is_heard_again_after_a_gap_may_be_another_and_is_given_it_once_more()
    {
        _submission.Submitted(EnqueueResult.Enqueued, Start);
        _submission.Heard(Accepted, Start);
        _submission.DispatcherHeard(At(1), At(1));

        _submission.DispatcherHeard(At(11), At(11));

        _submission.IsDue(At(11)).ShouldBeTrue();
        _submission.Submitted(EnqueueResult.Enqueued, At(11));
        _submission.DispatcherHeard(At(12), At(12));
        _submission.IsDue(At(12)).ShouldBeFalse();
    }

    [Fact]
    public void What_no_dispatcher_accepted_is_due_though_one_is_heard()
    {
        _submission.Submitted(EnqueueResult.Enqueued, Start);
        _submission.DispatcherHeard(At(4), At(4));
        _submission.IsDue(At(5)).ShouldBeTrue();
    }

    [Fact]
    public void Not_accepted_it_is_due_after_five_seconds_then_ten_then_twenty() => DueTimes(6, _ => EnqueueResult.Enqueued).ShouldBe([0, 5, 15, 35, 75, 135]);

    [Fact]
    public void Accepted_it_is_due_only_after_a_long_silence_and_every_word_begins_it_anew()
    {
        _submission.Submitted(EnqueueResult.Enqueued, Start);
        _submission.Heard(Accepted, At(1));
        _submission.IsDue(At(15.9)).ShouldBeFalse();
        _submission.Heard(new RequestEvent.Started(1, "r", Start), At(10));
        _submission.IsDue(At(24.9)).ShouldBeFalse();
        _submission.IsDue(At(25)).ShouldBeTrue();
        _submission.Submitted(EnqueueResult.Enqueued, At(25));
        _submission.IsDue(At(39.9)).ShouldBeFalse();
        _submission.Submitted(EnqueueResult.Enqueued, At(40));
        _submission.IsDue(At(69.9)).ShouldBeFalse();
        _submission.IsDue(At(70)).ShouldBeTrue();
    }

    [Fact]
    public void A_refusal_counts_unless_the_queue_has_had_it()
    {
        _submission.Submitted(Full, Start).ShouldNotBeNull();
        _submission.Heard(Accepted, Start);
        _submission.Submitted(Full, Start).ShouldBeNull();
    }

    [Fact]
    public void A_lost_log_makes_it_due_at_once()
    {
        _submission.Submitted(EnqueueResult.Enqueued, Start);
        _submission.Lost();
        _submission.IsDue(Start).ShouldBeTrue();
    }

    private static DateTimeOffset At(double seconds) => Start.AddSeconds(seconds);

    private List<double> DueTimes(int count, Func<int, EnqueueResult> answer)
    {
        var times = new List<double>();
        for (var tick = 0; times.Count < count; tick++)
        {
            if (!_submission.IsDue(At(tick / 10.0))) continue;
            times.Add(tick / 10.0);
            _submission.Submitted(answer(times.Count), At(tick / 10.0));
        }

        return times;
    }
}
