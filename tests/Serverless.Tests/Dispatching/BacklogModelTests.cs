using CsCheck;
using Serverless.Dispatching;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>Any sequence of operations on a backlog, beside a list that is plainly right.</summary>
public sealed class BacklogModelTests
{
    private static readonly Gen<Operation> Operations = Gen.Select(
        Gen.Int[0, 9], Gen.Int[0, 2], Gen.Int[0, 2], Gen.Int[1, 50], Gen.Int[1, 50], Gen.Int[0, 4],
        (kind, tenant, lane, prompt, output, pick) => new Operation(kind, tenant, (Lane)lane, prompt, output, pick));

    [Fact]
    public void Whatever_is_added_taken_returned_settled_and_removed_the_sums_and_the_order_hold() =>
        Operations.List[0, 120].Sample(Run, iter: 2000);

    private static void Run(List<Operation> operations)
    {
        var world = new World();
        foreach (var (operation, number) in operations.Select((operation, number) => (operation, number)))
        {
            world.Apply(operation, number);
            world.Check();
        }

        world.Empty();
    }

    private sealed record Operation(int Kind, int Tenant, Lane Lane, int Prompt, int Output, int Pick);

    private sealed class World
    {
        private readonly Backlog _backlog = new();
        private readonly List<BacklogEntry> _pending = [];
        private readonly List<BacklogEntry> _running = [];

        /// <summary>Delivered and not looked up yet: they have a turn and nothing else.</summary>
        private readonly List<BacklogEntry> _lined = [];

        /// <summary>Every request of a conversation that has not ended, in order of arrival.</summary>
        private readonly Dictionary<string, List<BacklogEntry>> _turns = new(StringComparer.Ordinal);

        public void Apply(Operation operation, int number)
        {
            switch (operation.Kind)
            {
                case < 3:
                    Line(operation, number, byAge: operation.Output % 2 == 0);
                    break;
                case 3 when _lined.Count > 0:
                    Add(_lined[operation.Pick % _lined.Count]);
                    break;
                case < 5:
                    Line(operation, number, byAge: false);
                    Add(_lined[^1]);
                    break;
                case < 7 when _backlog.Peek() is { } next:
                    _backlog.Take(next);
                    _pending.Remove(next).ShouldBeTrue();
                    _running.Add(next);
                    break;
                case 7 when _running.Count > 0:
                    var returned = _running[operation.Pick % _running.Count];
                    _backlog.Return(returned);
                    _running.Remove(returned);
                    _pending.Add(returned);
                    break;
                case 8 when _running.Count > 0:
                    var settled = _running[operation.Pick % _running.Count];
                    var before = settled.Leaf!.Counter;
                    _backlog.Settle(settled, operation.Output);
                    settled.Leaf.Counter.ShouldBe(before + (2.0 * (operation.Output - settled.ExpectedOutputTokens)), 1e-6);
                    _running.Remove(settled);
                    EndTurn(settled);
                    break;
                case 9 when operation.Tenant == 0 && _lined.Count > 0:
                    var unknown = _lined[operation.Pick % _lined.Count];
                    _backlog.Remove(unknown).ShouldBeFalse();
                    _lined.Remove(unknown);
                    EndTurn(unknown);
                    break;
                case 9 when _pending.Count > 0:
                    var removed = _pending[operation.Pick % _pending.Count];
                    _backlog.Remove(removed).ShouldBeTrue();
                    _backlog.Remove(removed).ShouldBeFalse();
                    _pending.Remove(removed);
                    EndTurn(removed);
                    break;
            }
        }

        public void Check()
        {
            _backlog.Count.ShouldBe(_pending.Count);
            _backlog.PromptTokens.ShouldBe(_pending.Sum(entry => (long)entry.Request.PromptTokens));
            _backlog.OutputTokens.ShouldBe(_pending.Sum(entry => (long)entry.ExpectedOutputTokens));
            _backlog.OldestAt.ShouldBe(_pending.Count > 0 ? _pending.Min(entry => entry.Request.AcceptedAt) : null);
            foreach (var entry in _pending) _backlog.Contains(entry.Request.Id).ShouldBeTrue();

            var ready = _pending.Where(IsItsTurn).ToList();
            _backlog.TokensByLane.ShouldBe(Enum.GetValues<Lane>().Select(lane => ready.Where(entry => entry.Request.Lane == lane).Sum(entry => entry.ExpectedTokens)));
            var next = _backlog.Peek();
            if (ready.Count == 0) next.ShouldBeNull();
            else ready.ShouldContain(next.ShouldNotBeNull());
            if (next is not null) next.Request.Lane.ShouldBe(ready.Min(entry => entry.Request.Lane));
        }

        public void Empty()
        {
            while (_lined.Count > 0) Add(_lined[0]);
            while (_running.Count > 0) Apply(new Operation(8, 0, Lane.Batch, 1, 1, 0), 0);
            while (_backlog.Peek() is not null)
            {
                Apply(new Operation(5, 0, Lane.Batch, 1, 1, 0), 0);
                Apply(new Operation(8, 0, Lane.Batch, 1, 1, 0), 0);
            }

            Check();
            _pending.ShouldBeEmpty();
            _turns.Values.ShouldAllBe(turns => turns.Count == 0);
        }

        /// <param name="operation">Of whom.</param>
        /// <param name="number">Of how many before.</param>
        /// <param name="byAge">How it gets its turn.</param>
        private void Line(Operation operation, int number, bool byAge)
        {
            var conversation = operation.Pick < 2 ? $"conversation {operation.Pick}" : null;
            var entry = BacklogScene.Entry($"org {operation.Tenant}", $"team {operation.Pick}", $"key {operation.Tenant}", operation.Lane, operation.Prompt, operation.Output, conversation, at: (number * 7919) % 500);
            _backlog.Line(entry, byAge);
            _lined.Add(entry);
            if (TurnsOf(entry) is not { } turns) return;

            var place = turns.Count;
            while (byAge && place > 0 && !_running.Contains(turns[place - 1]) && turns[place - 1].Request.AcceptedAt > entry.Request.AcceptedAt) place--;
            turns.Insert(place, entry);
        }

        private void Add(BacklogEntry entry)
        {
            _backlog.Add(entry);
            _lined.Remove(entry);
            _pending.Add(entry);
        }

        private bool IsItsTurn(BacklogEntry entry) => TurnsOf(entry) is not { } turns || turns[0] == entry;

        private void EndTurn(BacklogEntry entry) => TurnsOf(entry)?.Remove(entry);

        private List<BacklogEntry>? TurnsOf(BacklogEntry entry)
        {
            if (entry.Request.Conversation is not { } conversation) return null;

            var key = $"{entry.Request.Owner.Key} {conversation}";
            if (!_turns.TryGetValue(key, out var turns)) _turns[key] = turns = [];
            return turns;
        }
    }
}
