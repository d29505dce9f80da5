using CsCheck;
using Serverless.Dispatching;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>F8, F9: a head that fits nowhere, those behind it, and what a slot is.</summary>
public sealed class BackfillTests
{
    private const int Kv = 100;
    private const int Slots = 4;

    [Fact]
    public void Small_requests_pass_a_large_one_that_waits_but_for_the_replica_that_it_has_reserved()
    {
        var scene = new LoopScene();
        var (one, two) = (scene.Connect("one", kv: 100), scene.Connect("two", kv: 100));
        Small(50);
        Small(50); // one on each
        var large = Small(90);
        for (var number = 0; number < 4; number++) Small(10, "other");

        one.Said.Assigned.Count().ShouldBe(1, "it drains for the large one");
        two.Said.Assigned.Count().ShouldBe(5);
        scene.Leave(one.Replica, one.Said.Assigned.Single());
        one.Said.Assigned.Last().Request.Id.ShouldBe(large.Id);

        InferenceRequest Small(int prompt, string key = "key") => scene.Submit(request => request with { PromptTokens = prompt, MaxOutputTokens = 1, Owner = new Owner("org", "team", key) });
    }

    [Fact]
    public void Only_a_few_behind_a_head_are_looked_at()
    {
        var scene = new LoopScene();
        scene.Connect("one", kv: 100);
        var (_, two) = scene.Connect("two", kv: 100);
        for (var number = 0; number < 2; number++) scene.Submit(request => request with { PromptTokens = 50, MaxOutputTokens = 1 });
        for (var number = 0; number <= Placement.LookAhead; number++) scene.Submit(request => request with { PromptTokens = 90, MaxOutputTokens = 1 });

        var unseen = scene.Submit(request => request with { PromptTokens = 5, MaxOutputTokens = 1 });

        two.Assigned.ShouldNotContain(assignment => assignment.Request.Id == unseen.Id);
    }

    [Fact]
    public void A_request_of_eight_choices_takes_eight_slots()
    {
        var scene = new LoopScene();
        var (one, oneSaid) = scene.Connect("one", slots: 8, kv: 10_000);
        var (_, twoSaid) = scene.Connect("two", slots: 8, kv: 5_000);
        scene.Submit(request => request with { Choices = 8 });
        oneSaid.Assigned.Count().ShouldBe(1);
        one.Taken.ShouldBe(8);

        scene.Submit();

        twoSaid.Assigned.Count().ShouldBe(1);
        scene.Pass(TimeSpan.FromMilliseconds(100));
        scene.Demand.Latest(TestRequests.Model)!.RunningSequences.ShouldBe(9);
    }

    [Fact]
    public void More_choices_than_any_replica_has_slots_run_on_one_that_is_empty()
    {
        var scene = new LoopScene();
        var (_, said) = scene.Connect("one", slots: 4, kv: 10_000);

        scene.Submit(request => request with { Choices = 128 });

        said.Assigned.Count().ShouldBe(1);
    }

    [Fact]
    public void What_no_replica_can_ever_hold_is_the_callers_fault_and_no_dead_letter()
    {
        var scene = new LoopScene();
        scene.Connect("one", kv: 100);

        scene.Submit(request => request with { PromptTokens = 100 });

        scene.News.ShouldContain("completed");
        scene.News.ShouldNotContain("dead letter");
        scene.Promises.Ends.Single().Outcome.ShouldBe(RequestOutcome.Failed);
    }

    /// <summary>The head starts no later than it would if its reserved replica took nothing but it from the moment it became the head: backfill costs it nothing.</summary>
    [Fact]
    public void A_head_never_waits_longer_for_those_that_pass_it() =>
        Gen.Select(Gen.Int[1, 99], Gen.Int[1, 3], Gen.Int[1, 9], Gen.Int[0, 3], (prompt, choices, steps, gap) => new Job(prompt, choices, steps, gap)).List[1, 60].Sample(
            jobs => new Run(jobs).Check(), iter: 300);

    private sealed record Job(int Prompt, int Choices, int Steps, int Gap);

    /// <summary>Jobs of one tenant that come one after another, at two replicas, and take as many steps as they say.</summary>
    private sealed class Run
    {
        private readonly LoopScene _scene = new();
        private readonly (ReplicaState Replica, LoopScene.Session Said)[] _replicas;
        private readonly Queue<Job> _coming;
        private readonly List<(InferenceRequest Request, Job Job)> _waiting = [];
        private readonly Dictionary<RequestId, (Job Job, int EndsAt, ReplicaState Replica, Assignment Assignment)> _running = [];
        private readonly int[] _seen = new int[2];
        private RequestId? _head;
        private int _headBy;
        private int _step;

        public Run(List<Job> jobs)
        {
            _replicas = [_scene.Connect("one", Kv, Slots), _scene.Connect("two", Kv, Slots)];
            _coming = new(jobs);
        }

        public void Check()
        {
            for (; _coming.Count + _waiting.Count + _running.Count > 0; _step++)
            {
                _step.ShouldBeLessThan(10_000);
                foreach (var (_, ended) in _running.Where(running => running.Value.EndsAt <= _step).ToArray())
                {
                    _running.Remove(ended.Assignment.Request.Id);
                    _scene.Leave(ended.Replica, ended.Assignment);
                    Begin();
                }

                while (_coming.TryPeek(out var next) && (next.Gap == 0 || _step % next.Gap == 0))
                {
                    _coming.Dequeue();
                    _waiting.Add((_scene.Submit(request => request with { PromptTokens = next.Prompt, Choices = next.Choices, MaxOutputTokens = 1 }), next));
                    Begin();
                    if (next.Gap > 0) break;
                }
            }
        }

        /// <summary>Takes note of what the loop has handed out.</summary>
        private void Begin()
        {
            for (var place = 0; place < 2; place++)
            {
                foreach (var assignment in _replicas[place].Said.Assigned.Skip(_seen[place]).ToArray())
                {
                    _seen[place]++;
                    var started = _waiting.Find(waiting => waiting.Request.Id == assignment.Request.Id);
                    _waiting.Remove(started);
                    _running[assignment.Request.Id] = (started.Job, _step + started.Job.Steps, _replicas[place].Replica, assignment);
                    if (assignment.Request.Id != _head) continue;
                    _step.ShouldBeLessThanOrEqualTo(_headBy, "the head was overtaken on its own replica");
                    _head = null;
                }
            }

            Watch();
        }

        /// <summary>Of a new head: when the replica that it has reserved has room, if it takes nothing else.</summary>
        private void Watch()
        {
            if (_waiting.Count == 0 || _waiting[0].Request.Id == _head) return;

            var (request, job) = _waiting[0];
            if (_scene.Loop.Reservation is not { } reservation || reservation.Head != request.Id) return;
            var replica = reservation.Replica;
            var here = _running.Values.Where(running => running.Replica == replica).OrderBy(running => running.EndsAt).ToList();
            var (tokens, sequences) = (here.Sum(running => running.Job.Prompt + running.Job.Choices), here.Sum(running => running.Job.Choices));
            _headBy = _step;
            foreach (var running in here)
            {
                if (sequences + job.Choices <= Slots && tokens + job.Prompt + job.Choices <= Kv) break;
                (tokens, sequences, _headBy) = (tokens - running.Job.Prompt - running.Job.Choices, sequences - running.Job.Choices, running.EndsAt);
            }

            _head = request.Id;
        }
    }
}
