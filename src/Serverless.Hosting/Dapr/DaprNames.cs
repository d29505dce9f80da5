namespace Serverless.Hosting.Dapr;

/// <summary>Names that code, <c>components/</c> and <c>dapr.yaml</c> share; a test compares them.</summary>
public static class DaprNames
{
    public const string GatewayApp = "gateway";

    public const string WorkerApp = "worker";

    public const string ScalerApp = "scaler";

    public const string StateStore = "statestore";

    /// <summary>What is published to. Each subscription has a component of its own: a connection that subscribes and does anything else may lose its subscription when it is made anew.</summary>
    public const string PubSub = "pubsub";

    public const string PubSubRequests = "pubsub-requests";

    public const string PubSubResults = "pubsub-results";

    public const string PubSubStreams = "pubsub-streams";

    public const string SecretStore = "secretstore";

    /// <summary>Where daprd delivers the events of a topic: this and the topic's name.</summary>
    public const string EventsPath = "/events/";

    /// <summary>The header by which daprd says who called by service invocation; what comes from the broker has none.</summary>
    public const string CallerHeader = "dapr-caller-app-id";

    /// <summary>The same, of who was called.</summary>
    public const string CalleeHeader = "dapr-callee-app-id";

    /// <summary>The header that names the component which delivers an event. Who calls by service invocation may write it too.</summary>
    public const string ComponentHeader = "pubsubname";

    /// <summary>The header that both tokens travel in: the app's to daprd and daprd's to the app.</summary>
    public const string TokenHeader = "dapr-api-token";
}
