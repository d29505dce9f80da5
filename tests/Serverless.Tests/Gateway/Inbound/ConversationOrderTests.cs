using Serverless.Errors;
using Serverless.Gateway.Inbound;
using Shouldly;

namespace Serverless.Tests.Gateway.Inbound;

public sealed class ConversationOrderTests
{
    private readonly TestClock _time = new();

    [Fact]
    public async Task Those_that_nobody_comes_back_to_are_forgotten_when_there_are_many()
    {
        var order = new ConversationOrder(_time);
        for (var conversation = 0; conversation < 2000; conversation++) await ComeAsync(order, $"c-{conversation}");
        order.Count.ShouldBe(2000);

        _time.Advance(ConversationOrder.LongestWait + TimeSpan.FromSeconds(1));
        await ComeAsync(order, "another");

        order.Count.ShouldBe(1);
    }

    /// <summary>One that finds no room.</summary>
    private static async Task ComeAsync(ConversationOrder order, string conversation) =>
        (await order.RunAsync(conversation, "e", () => new(BrokerVerdict.Later(new ServingFault(ServingError.QueueFull, "full"))), TestContext.Current.CancellationToken)).Answer.ShouldBe(BrokerAnswer.Retry);
}
