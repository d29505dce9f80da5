using Serverless.Requests;
using Serverless.Sessions;
using Shouldly;

namespace Serverless.Tests.Dispatching;

/// <summary>Work that somebody waits for, beside a batch that takes all there is.</summary>
public sealed class PreemptionTests
{
    [Fact]
    public void Each_takes_one_place_and_no_more_are_taken_than_the_batch_has()
    {
        var scene = new LoopScene();
        var (replica, said) = scene.Connect("w", slots: 3);
        for (var i = 0; i < 5; i++) scene.Submit(request => request with { Lane = Lane.Batch });
        said.Assigned.Count().ShouldBe(3);

        var persons = Enumerable.Range(0, 4).Select(_ => scene.Submit()).ToList();

        var given = said.Heard.OfType<DispatcherMessage.Preempt>().Select(preempt => preempt.Id).ToList();
        given.ShouldBeUnique();
        given.ShouldBe(said.Assigned.Take(3).Select(assignment => assignment.Request.Id).Reverse(), "the youngest first");
        said.Assigned.Skip(3).Select(assignment => assignment.Request.Id).ShouldBe(persons.Take(3).Select(person => person.Id), "the fourth waits for one of them");
        foreach (var assignment in said.Assigned.Take(3).ToList()) scene.Leave(replica, assignment, AttemptOutcome.Returned, 0);
        said.Assigned.Count().ShouldBe(6, "their places are taken");

        scene.Leave(replica, said.Assigned.ElementAt(3));

        said.Assigned.Skip(6).Single().Request.Id.ShouldBe(persons[3].Id, "before any of the batch");
    }

    [Fact]
    public void Several_of_a_batch_give_way_to_a_large_one_and_what_is_on_its_way_back_counts()
    {
        var scene = new LoopScene();
        var (_, said) = scene.Connect("w", kv: 1000, slots: 8);
        for (var i = 0; i < 4; i++) scene.Submit(request => request with { Lane = Lane.Batch, PromptTokens = 200, MaxOutputTokens = 40 });
        said.Assigned.Count().ShouldBe(4);

        scene.Submit(request => request with { PromptTokens = 400, MaxOutputTokens = 40 });

        said.Heard.OfType<DispatcherMessage.Preempt>().Count().ShouldBe(2);
        said.Assigned.Count().ShouldBe(5);

        scene.Submit(request => request with { PromptTokens = 20, MaxOutputTokens = 20 });

        said.Heard.OfType<DispatcherMessage.Preempt>().Count().ShouldBe(2, "440 of 480 that are given back are taken again, and 40 are left");
        said.Assigned.Count().ShouldBe(6);
    }

    [Fact]
    public void Batch_work_takes_nobodys_place()
    {
        var scene = new LoopScene();
        var (_, said) = scene.Connect("w", slots: 1);
        scene.Submit(request => request with { Lane = Lane.Batch });

        scene.Submit(request => request with { Lane = Lane.Batch });

        said.Heard.OfType<DispatcherMessage.Preempt>().ShouldBeEmpty();
        said.Assigned.Count().ShouldBe(1);
    }

    [Fact]
    public void Of_two_replicas_the_one_gives_way_that_must_give_less()
    {
        var scene = new LoopScene();
        var (_, many) = scene.Connect("many", slots: 2);
        scene.Submit(request => request with { Lane = Lane.Batch });
        scene.Submit(request => request with { Lane = Lane.Batch });
        var (_, one) = scene.Connect("one", slots: 2);
        scene.Submit(request => request with { Lane = Lane.Batch, Choices = 2 });

        scene.Submit(request => request with { Choices = 2 });

        many.Heard.OfType<DispatcherMessage.Preempt>().ShouldBeEmpty();
        one.Heard.OfType<DispatcherMessage.Preempt>().Count().ShouldBe(1);
        one.Assigned.Count().ShouldBe(2);
    }
}
