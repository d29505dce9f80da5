using Serverless.Dispatching;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Dispatching;

public sealed class BacklogLanesTests
{
    [Fact]
    public void Tokens_are_counted_by_lane_as_requests_come_and_go()
    {
        var backlog = new Backlog();
        backlog.Put(BacklogScene.Entry(lane: Lane.Realtime, prompt: 1, output: 2));
        backlog.Put(BacklogScene.Entry(lane: Lane.Batch, prompt: 10, output: 20));
        var interactive = BacklogScene.Entry(lane: Lane.Interactive, prompt: 100, output: 200);
        backlog.Put(interactive);
        backlog.TokensByLane.ShouldBe([3, 300, 30]);

        backlog.Serve();
        backlog.Take(interactive);
        backlog.TokensByLane.ShouldBe([0, 0, 30]);

        backlog.Return(interactive);
        backlog.Remove(interactive);
        backlog.TokensByLane.ShouldBe([0, 0, 30]);
    }
}
