using System.Globalization;
using System.Text.Json.Nodes;
using Serverless.Events;
using Serverless.Hosting.Dapr;
using Shouldly;
using YamlDotNet.RepresentationModel;

namespace Serverless.Tests.Components;

/// <summary>The shipped Dapr files, held against what Dapr does when a setting is missing, and against the names in code.</summary>
public sealed class ComponentsTests
{
    /// <summary>Of <c>components/ordered</c>, which is an addition: the code knows nothing of it.</summary>
    private const string PubSubOrdered = "pubsub-ordered";

    private const string Ordered = "serverless.requests.ordered";

    private static readonly string[] Apps = [DaprNames.GatewayApp, DaprNames.WorkerApp, DaprNames.ScalerApp];

    [Fact]
    public void Names_are_those_of_the_code()
    {
        YamlFolder.OfKind("Component").Select(root => YamlFolder.Text(root, "metadata", "name")).ShouldBe([DaprNames.StateStore, DaprNames.PubSub, DaprNames.PubSubRequests, DaprNames.PubSubResults, DaprNames.PubSubStreams, PubSubOrdered, DaprNames.SecretStore], ignoreOrder: true);
        foreach (var component in YamlFolder.OfKind("Component").Where(root => YamlFolder.At(root, "auth") is not null)) YamlFolder.Text(component, "auth", "secretStore").ShouldBe(DaprNames.SecretStore);
    }

    [Fact]
    public void Everything_names_the_apps_it_is_for()
    {
        foreach (var (file, root) in YamlFolder.Components.Where(file => YamlFolder.Text(file.Root, "kind") is "Component" or "Subscription" or "Resiliency"))
        {
            var scopes = YamlFolder.List(root, "scopes");
            scopes.ShouldNotBeEmpty(file);
            scopes.Except(Apps).ShouldBeEmpty(file);
        }
    }

    [Theory]
    [InlineData(DaprNames.PubSub)]
    [InlineData(DaprNames.PubSubRequests)]
    [InlineData(DaprNames.PubSubResults)]
    [InlineData(DaprNames.PubSubStreams)]
    [InlineData(PubSubOrdered)]
    public void Queues_of_events_outlive_their_readers_and_messages_the_broker(string name)
    {
        var settings = YamlFolder.Settings(YamlFolder.OfKind("Component").Single(root => YamlFolder.Text(root, "metadata", "name") == name));

        settings["durable"].ShouldBe("true");
        settings["deletedWhenUnused"].ShouldBe("false", "else a gateway at zero loses the backlog");
        settings["deliveryMode"].ShouldBe("2", "the default is transient");
        settings["publisherConfirm"].ShouldBe("true");
        settings["requeueInFailure"].ShouldBe("true", "else a sidecar that stops drops what it holds");
        int.Parse(settings["prefetchCount"]!, CultureInfo.InvariantCulture).ShouldBeInRange(1, 255, "0 is unlimited, and the setting has eight bits");
        settings.ShouldNotContainKey("concurrencyMode", "Dapr's documentation names it, its code does not know it");
        settings.ShouldNotContainKey("deleteWhenUnused", "that is the binding's spelling");
        settings.ShouldNotContainKey("autoAck");
    }

    [Fact]
    public void Records_of_one_app_are_read_by_the_others() =>
        YamlFolder.Settings(YamlFolder.Component("state.redis"))["keyPrefix"].ShouldBe("name");

    [Fact]
    public void Secrets_are_not_in_components()
    {
        foreach (var component in YamlFolder.OfKind("Component"))
        {
            foreach (var (name, value) in YamlFolder.Settings(component).Where(setting => setting.Key.Contains("assword", StringComparison.Ordinal) || setting.Key == "connectionString"))
                value.ShouldBeNull($"{name} is a reference to a secret");
        }
    }

    [Fact]
    public void Every_secret_that_is_referred_to_is_in_the_laptops_file()
    {
        var secrets = JsonNode.Parse(File.ReadAllText(Path.Combine(Repository.Root, YamlFolder.Settings(YamlFolder.Component("secretstores.local.file"))["secretsFile"]!)))!;
        foreach (var component in YamlFolder.OfKind("Component"))
        {
            foreach (var entry in ((YamlSequenceNode)YamlFolder.At(component, "spec", "metadata")!).Children.Where(entry => YamlFolder.At(entry, "secretKeyRef") is not null))
            {
                var (name, key) = (YamlFolder.Text(entry, "secretKeyRef", "name")!, YamlFolder.Text(entry, "secretKeyRef", "key")!);
                secrets[name]?[key].ShouldNotBeNull($"{name}.{key}");
            }
        }
    }

    [Fact]
    public void Every_subscription_is_routed_to_us_and_has_a_place_for_what_is_refused()
    {
        var subscriptions = YamlFolder.OfKind("Subscription").ToList();

        subscriptions.Select(root => (YamlFolder.Text(root, "spec", "pubsubname"), YamlFolder.Text(root, "spec", "topic")))
            .ShouldBe([(DaprNames.PubSubRequests, EventTopics.Requests), (DaprNames.PubSubStreams, EventTopics.Streams), (DaprNames.PubSubResults, EventTopics.Results), (PubSubOrdered, Ordered)], ignoreOrder: true, "one component each");
        foreach (var subscription in subscriptions)
        {
            YamlFolder.Text(subscription, "spec", "pubsubname").ShouldNotBe(DaprNames.PubSub, "a component that is published to has no subscription");
            YamlFolder.Text(subscription, "spec", "routes", "default").ShouldBe(DaprNames.EventsPath + YamlFolder.Text(subscription, "spec", "topic"));
            YamlFolder.Text(subscription, "spec", "deadLetterTopic").ShouldBe(YamlFolder.Text(subscription, "spec", "topic") is EventTopics.Requests or Ordered ? EventTopics.RequestsDead : null, "our own results are published again");
            YamlFolder.Text(subscription, "spec", "metadata", "queueType").ShouldBe("quorum", "what is acknowledged to a publisher is on disk");
            YamlFolder.List(subscription, "scopes").ShouldBe([DaprNames.GatewayApp]);
        }
    }

    [Theory]
    [InlineData(DaprNames.PubSubRequests)]
    [InlineData(DaprNames.PubSubResults)]
    [InlineData(DaprNames.PubSubStreams)]
    [InlineData(PubSubOrdered)]
    public void Retries_of_inbound_events_end(string component)
    {
        var resiliency = YamlFolder.OfKind("Resiliency").Single();
        var inbound = YamlFolder.Text(resiliency, "spec", "targets", "components", component, "inbound", "retry").ShouldNotBeNull();

        int.Parse(YamlFolder.Text(resiliency, "spec", "policies", "retries", inbound, "maxRetries").ShouldNotBeNull("unset is for ever"), CultureInfo.InvariantCulture).ShouldBeGreaterThan(0);
        foreach (var (name, policy) in ((YamlMappingNode)YamlFolder.At(resiliency, "spec", "policies", "retries")!).Children)
            int.Parse(YamlFolder.Text(policy, "maxRetries").ShouldNotBeNull(name.ToString()), CultureInfo.InvariantCulture).ShouldBeGreaterThan(0, name.ToString());
    }

    /// <summary>One event after another, to one of them: what each of three settings is for.</summary>
    [Fact]
    public void What_is_ordered_is_delivered_one_at_a_time_to_one_gateway()
    {
        var settings = YamlFolder.Settings(YamlFolder.OfKind("Component").Single(root => YamlFolder.Text(root, "metadata", "name") == PubSubOrdered));
        var subscription = YamlFolder.OfKind("Subscription").Single(root => YamlFolder.Text(root, "spec", "topic") == Ordered);

        (settings["concurrency"], settings["prefetchCount"], YamlFolder.Text(subscription, "spec", "metadata", "singleActiveConsumer")).ShouldBe(("single", "1", "true"));
    }

    [Theory]
    [InlineData("components")]
    [InlineData("components/ordered")]
    public void A_cluster_gets_every_file_that_a_laptop_gets(string folder)
    {
        var listed = YamlFolder.List(YamlFolder.Components.Single(file => file.File == folder + "/kustomization.yaml").Root, "resources");

        listed.ShouldBe(Directory.GetFiles(Path.Combine(Repository.Root, folder), "*.yaml").Select(file => Path.GetFileName(file)!).Where(name => name != "kustomization.yaml"), ignoreOrder: true);
    }
}
