using Serverless.Events;
using Serverless.Tests.Contracts;

namespace Serverless.EndToEndTests.Dapr;

/// <summary>The contract on the real daprd and a real RabbitMQ, with the shipped components.</summary>
public sealed class DaprEventBusTests(DaprEvents events) : EventBusContract, IClassFixture<DaprEvents>
{
    protected override async Task<IEventBus> StartAsync(IEventHandler handler)
    {
        Assert.SkipWhen(DaprEvents.Absent is not null, DaprEvents.Absent ?? "");
        await events.StartAsync();
        events.Handler = handler;
        return events.Bus;
    }

    /// <summary>The shipped resiliency waits five seconds, and nothing here shortens it.</summary>
    protected override Task RetryAsync(Task next) => next.WithinLimitAsync();

    protected override Task<CloudEvent> DeadLetterAsync(string id) => events.DeadLetterAsync(id);
}
