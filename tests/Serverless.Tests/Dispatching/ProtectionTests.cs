using Serverless.Dispatching;
using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>
/// A batch that takes all there is, and requests that somebody waits for beside it, on a simulated engine in virtual time: each step every sequence makes a token, and what is to stop stops at the step's end.
/// </summary>
public sealed class ProtectionTests
{
    private const int Slots = 16;
    private const int Interactive = 200;
    private const int Output = 8;
    private const int BatchOutput = 64;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Whoever_waits_begins_within_a_step_and_the_batch_keeps_nine_tenths(int seed)
    {
        var random = new Random(seed);
        var engine = new Engine();
        var waits = new List<int>();
        var steps = 0;
        for (var asked = 0; asked < Interactive; steps++)
        {
            engine.Fill();
            if (random.Next(20) == 0)
            {
                waits.Add(engine.Ask());
                asked++;
            }

            engine.Step();
        }

        waits.Max().ShouldBe(0, "steps that any of them waited for a place");
        ((double)engine.BatchTokens / (steps * Slots)).ShouldBeGreaterThan(0.9);
        engine.Repeated.ShouldBe(0, "what is preempted goes on from what it has emitted");
    }

    /// <summary>One replica and what runs on it.</summary>
    private sealed class Engine
    {
        private readonly LoopScene _scene = new();
        private readonly ReplicaState _replica;
        private readonly LoopScene.Session _said;
        private readonly Dictionary<RequestId, (Assignment Assignment, int Made)> _running = [];
        private readonly HashSet<RequestId> _stopped = [];
        private readonly Dictionary<RequestId, int> _emitted = [];
        private int _heard;
        private int _waiting;

        public Engine() => (_replica, _said) = _scene.Connect("w", kv: 1_000_000, slots: Slots);

        /// <summary>Tokens of the batch.</summary>
        public int BatchTokens { get; private set; }

        /// <summary>Tokens that were made twice.</summary>
        public int Repeated { get; private set; }

        /// <summary>Enough of the batch waits.</summary>
        public void Fill()
        {
            for (; _waiting < Slots; _waiting++) _scene.Submit(request => request with { Lane = Lane.Batch, MaxOutputTokens = BatchOutput });
        }

        /// <summary>Somebody asks; how many steps pass before it is at the worker.</summary>
        public int Ask()
        {
            var id = _scene.Submit(request => request with { MaxOutputTokens = Output }).Id;
            for (var waited = 0; ; waited++)
            {
                Hear();
                if (_running.ContainsKey(id)) return waited;
                Step();
            }
        }

        public void Step()
        {
            Hear();
            foreach (var (id, (assignment, made)) in _running.ToArray())
            {
                var isBatch = assignment.Request.Lane == Lane.Batch;
                if (_stopped.Remove(id))
                {
                    _running.Remove(id);
                    _waiting++;
                    _scene.Leave(_replica, assignment, AttemptOutcome.Returned, made);
                    continue;
                }

                var token = TestRequests.Chunk(made);
                _scene.Log.AppendAsync(id, assignment.Fence, assignment.LastSequence + 1 + made - assignment.Output.Count, [token], TestContext.Current.CancellationToken).AsTask().IsCompletedSuccessfully.ShouldBeTrue();
                if (made < _emitted.GetValueOrDefault(id)) Repeated++;
                _emitted[id] = made + 1;
                if (isBatch) BatchTokens++;
                _running[id] = (assignment, made + 1);
                if (made + 1 < assignment.Request.MaxOutputTokens) continue;

                _running.Remove(id);
                _scene.Leave(_replica, assignment, AttemptOutcome.Ended, made + 1);
            }
        }

        private void Hear()
        {
            for (; _heard < _said.Heard.Count; _heard++)
            {
                switch (_said.Heard[_heard])
                {
                    case DispatcherMessage.Assign { Assignment: var assignment }:
                        _running.Add(assignment.Request.Id, (assignment, assignment.Output.Count));
                        if (assignment.Request.Lane == Lane.Batch) _waiting--;
                        break;
                    case DispatcherMessage.Preempt preempt:
                        _stopped.Add(preempt.Id);
                        break;
                }
            }
        }
    }
}
