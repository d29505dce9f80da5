using Serverless.Errors;
using Serverless.Gateway.Holding;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.Holding;

public sealed class SubmissionTests
{
    private static readonly DateTimeOffset Start = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);
    private static readonly EnqueueResult Away = new(new ServingFault(ServingError.StoreUnavailable, "away"));
    private static readonly EnqueueResult Full = new(new ServingFault(ServingError.QueueFull, "full"));
    private static readonly RequestEvent Accepted = new RequestEvent.Accepted(Start);

    private readonly Submission _submission = new(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(15));

    [Fact]
    public void Out_of_the_queues_reach_it_is_due_again_and_again_ever_more_slowly()
    {
        DueTimes(10, _ => Away).ShouldBe([0, 0.5, 1.5, 3.5, 7.5, 12.5, 17.5, 22.5, 27.5, 32.5]);
        _submission.Enqueued.ShouldBeFalse();
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
        _submission.Submitted(Away, Start).ShouldBeNull();
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
