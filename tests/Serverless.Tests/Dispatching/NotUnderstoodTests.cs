using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>F3: a gateway and workers of two releases, one of which has an endpoint of tomorrow.</summary>
public sealed class NotUnderstoodTests
{
    private static readonly EndpointName Tomorrow = new("embeddings");

    [Fact]
    public void A_worker_gets_only_what_it_says_it_understands_and_one_that_says_nothing_what_the_first_release_had()
    {
        var scene = new LoopScene();
        var (_, old) = scene.Connect("old");
        var request = scene.Submit(Of(Tomorrow));
        var chat = scene.Submit();

        old.Assigned.Select(assignment => assignment.Request.Id).ShouldBe([chat.Id], "what nobody understands is in nobody's way");

        var (_, young) = scene.Connect("young", endpoints: [Tomorrow.Value]);
        young.Assigned.Single().Request.Id.ShouldBe(request.Id);
        scene.Submit();
        young.Assigned.Count().ShouldBe(1);
        old.Assigned.Count().ShouldBe(2);
    }

    [Fact]
    public void What_asks_for_more_than_plain_text_waits_for_a_worker_whose_engine_honours_all_of_it()
    {
        var scene = new LoopScene();
        var (_, old) = scene.Connect("old");
        var (_, some) = scene.Connect("some", features: ["logit_bias"]);
        var request = scene.Submit(request => request with { Needs = ["logit_bias", "penalties"] });
        var plain = Enumerable.Range(0, 4).Select(_ => scene.Submit().Id).ToList();

        old.Assigned.Concat(some.Assigned).Select(assignment => assignment.Request.Id).ShouldBe(plain, ignoreOrder: true);

        var (_, all) = scene.Connect("all", features: ["dry_penalty", "logit_bias", "penalties"]);
        all.Assigned.Single().Request.Id.ShouldBe(request.Id);
        scene.Submit(request => request with { Needs = ["logit_bias"] });
        old.Assigned.ShouldAllBe(assignment => assignment.Request.Needs.Count == 0);
    }

    [Fact]
    public void What_one_worker_could_not_read_goes_to_another_and_never_to_that_one_again()
    {
        var scene = new LoopScene();
        var (old, oldSaid) = scene.Connect("old");
        var request = scene.Submit();
        var refused = oldSaid.Assigned.Single();

        scene.Leave(old, refused, AttemptOutcome.NotUnderstood, 0);

        scene.News.ShouldContain("not understood by old");
        oldSaid.Assigned.Count().ShouldBe(1);
        var chat = scene.Submit();
        oldSaid.Assigned.Last().Request.Id.ShouldBe(chat.Id, "the link goes on");

        var (young, youngSaid) = scene.Connect("young");
        var assignment = youngSaid.Assigned.Single();
        (assignment.Request.Id, assignment.Fence.Attempt).ShouldBe((request.Id, 2));
        scene.Close(young);
        scene.Pass(TimeSpan.FromSeconds(10));
        oldSaid.Assigned.Count(assigned => assigned.Request.Id == request.Id).ShouldBe(1);
    }

    [Fact]
    public void However_often_it_is_not_understood_a_request_is_not_given_up_before_its_deadline()
    {
        var scene = new LoopScene();
        scene.Submit();
        for (var worker = 0; worker < 30; worker++)
        {
            var (replica, said) = scene.Connect($"old-{worker}");
            scene.Leave(replica, said.Assigned.Single(), AttemptOutcome.NotUnderstood, 0);
        }

        scene.News.ShouldNotContain("poisoned");
        scene.Demand.Latest(TestRequests.Model)!.PendingRequests.ShouldBe(1);
        scene.Pass(TimeSpan.FromMinutes(10));
        scene.News.ShouldContain("expired");
        scene.Demand.Latest(TestRequests.Model)!.PendingRequests.ShouldBe(0);
        scene.Promises.Ends.Single().Outcome.ShouldBe(RequestOutcome.Failed);
    }

    [Fact]
    public void What_nobody_understands_keeps_its_conversations_turn()
    {
        var scene = new LoopScene();
        var (_, said) = scene.Connect("old");
        scene.Submit(request => request with { Endpoint = Tomorrow, Conversation = "c" });
        scene.Submit(request => request with { Conversation = "c" });

        said.Assigned.ShouldBeEmpty();
    }

    private static Func<InferenceRequest, InferenceRequest> Of(EndpointName endpoint) => request => request with { Endpoint = endpoint };
}
