using Serverless.EndToEndTests.Parts;
using Serverless.Requests;

namespace Serverless.EndToEndTests.RabbitMq;

/// <summary>What an id promises, over a real broker.</summary>
public sealed class RabbitMqDurableQueueTests(SharedRabbitMq broker) : RabbitMqRequestQueueTests(broker)
{
    protected override Promise Promise => Promise.Id;
}
