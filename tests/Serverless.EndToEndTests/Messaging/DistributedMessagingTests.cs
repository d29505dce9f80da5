using System.Text.Json;
using MassTransit;
using Serverless.Contracts;
using Serverless.EndToEndTests.Distributed;
using Shouldly;

namespace Serverless.EndToEndTests.Messaging;

/// <summary>The apps of <c>dapr.yaml</c> with messages switched on.</summary>
public sealed class DistributedMessagingTests(DistributedMessagingTests.Run run) : IClassFixture<DistributedMessagingTests.Run>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_killed_gateway_loses_nothing_that_was_accepted_and_each_has_one_result()
    {
        await run.StartAsync();
        await using var service = await AskingService.StartAsync(run.RabbitMq, "shop");
        var answer = await service.Client<SubmitInference>().GetResponse<InferenceCompleted, InferenceFailed>(Ask("hello"), Token).WithinLimitAsync();
        answer.Is(out Response<InferenceCompleted>? _).ShouldBeTrue();
        for (var i = 0; i < 40; i++) await service.SendAsync(Ask($"kept {i}") with { WantDeltas = true, DeltaAddress = service.Address });

        await run.Apps.Process("gateway").SignalAsync("KILL");
        await run.Apps.RestartAppAsync("gateway", Token);

        await service.UntilAsync(() => service.Completed.Count == 40 && service.Deltas.Values.Count(stream => stream.Count > 0 && stream[^1].IsLast) == 40);
        service.Failed.ShouldBeEmpty();
        foreach (var (id, stream) in service.Deltas)
        {
            stream.Select(delta => delta.Sequence).ShouldBe(Enumerable.Range(1, stream.Count).Select(number => (long)number), id);
            service.Completed[id].Count.ShouldBe(1);
        }
    }

    private static SubmitInference Ask(string prompt) => new()
    {
        Body = JsonSerializer.Serialize(new { model = "sim", messages = new[] { new { role = "user", content = prompt } }, max_tokens = 8 }),
    };

    public sealed class Run : SimulatedRun
    {
        protected override IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>(base.Environment, StringComparer.Ordinal) { ["MassTransit__Enabled"] = "true" };
    }
}
