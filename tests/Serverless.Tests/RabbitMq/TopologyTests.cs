using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Hosting.RabbitMq.Connection;
using Shouldly;

namespace Serverless.Tests.RabbitMq;

public sealed class TopologyTests
{
    private static readonly Topology Queues = new("serverless");

    [Fact]
    public void A_model_has_a_classic_and_a_quorum_queue_and_all_share_the_dead_letters()
    {
        var declared = Queues.Declarations([new ModelName("a"), new ModelName("b/c")], default, TimeSpan.FromHours(1));

        declared.Select(queue => (queue.Name, queue.Type)).ShouldBe(
        [
            ("serverless.transient.a", "classic"),
            ("serverless.durable.a", "quorum"),
            ("serverless.transient.b/c", "classic"),
            ("serverless.durable.b/c", "quorum"),
            ("serverless.dead-letters", "quorum"),
            ("serverless.requests.dead", "quorum"), // of the events: daprd declares none for a topic that nobody reads
        ]);
        declared.ShouldAllBe(queue => Equals(queue.Arguments["x-queue-type"], queue.Type));
    }

    [Theory]
    [InlineData("3.10.8", null, null)]
    [InlineData("3.12.0", 3_600_000L, null)]
    [InlineData("4.0.5", 3_600_000L, -1)]
    [InlineData("4.1.0-rc.1", 3_600_000L, -1)]
    [InlineData("nonsense", null, null)]
    public void Arguments_are_those_that_the_brokers_release_knows(string release, long? consumerTimeout, int? deliveryLimit)
    {
        var durable = Queues.Declarations([new ModelName("a")], BrokerVersion.Parse(release), TimeSpan.FromHours(1))[1].Arguments;

        durable.GetValueOrDefault("x-consumer-timeout").ShouldBe(consumerTimeout);
        durable.GetValueOrDefault("x-delivery-limit").ShouldBe(deliveryLimit);
    }

    [Fact]
    public void What_no_argument_sets_is_asked_of_the_operator()
    {
        var options = new RabbitMqOptions();

        Topology.Settings(BrokerVersion.Parse("3.10.8"), options).ShouldContain(setting => setting.Contains("consumer_timeout = 90000000", StringComparison.Ordinal));
        Topology.Settings(BrokerVersion.Parse("3.13.0"), options).ShouldNotContain(setting => setting.Contains("consumer_timeout", StringComparison.Ordinal));
    }

    [Fact]
    public void A_name_that_RabbitMQ_cannot_hold_is_refused_with_its_limit()
    {
        Should.Throw<ServingException>(() => Queues.Durable(new ModelName(new string('x', 300)))).Message.ShouldContain("255");
    }
}
