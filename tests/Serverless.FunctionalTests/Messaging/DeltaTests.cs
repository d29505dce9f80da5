using System.Text.Json;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Contracts;
using Serverless.Errors;
using Serverless.FunctionalTests.Gateway;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Messaging;
using Serverless.Gateway.Requests;
using Serverless.Hosting.MassTransit;
using Serverless.Requests;
using Shouldly;

namespace Serverless.FunctionalTests.Messaging;

/// <summary>Output in messages while it is made.</summary>
public sealed class DeltaTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Fifty_streams_are_in_order_and_complete()
    {
        const int Streams = 50, Tokens = 40;
        await using var service = await MessagingUnderTest.StartAsync();
        var deltas = await service.ListenAsync<InferenceDelta>("shop");
        var asked = new Dictionary<Guid, string>();
        for (var i = 0; i < Streams; i++)
        {
            var correlation = NewId.NextGuid();
            asked[correlation] = "";
            await service.SendAsync(MessagingUnderTest.Good with { CorrelationId = correlation, WantDeltas = true, DeltaAddress = new Uri("exchange:shop") });
        }

        var held = new List<HeldRequest>();
        for (var i = 0; i < Streams; i++) held.Add(await service.Gateway.TakeAsync());
        var serving = Task.WhenAll(held.Select(async request =>
        {
            await request.BeginAsync();
            for (var i = 0; i < Tokens; i++) await request.SayAsync($"{i} ", finish: i == Tokens - 1 ? FinishReason.Stop : null);
            await request.FinishAsync();
        }));

        var next = new Dictionary<string, long>(StringComparer.Ordinal);
        for (var ended = 0; ended < Streams;)
        {
            var delta = (await MessagingUnderTest.NextAsync(deltas)).Message;
            delta.Sequence.ShouldBe(next[delta.InferenceId] = next.GetValueOrDefault(delta.InferenceId) + 1);
            asked[delta.CorrelationId!.Value] += delta.Text;
            if (!delta.IsLast)
            {
                JsonElement.Parse(delta.Body!).GetProperty("object").GetString().ShouldBe("chat.completion.chunk");
                continue;
            }

            delta.ErrorCode.ShouldBeNull();
            delta.Sequence.ShouldBe(Tokens + 3, "an opening, each token, the finish, the last one");
            ended++;
        }

        await serving.WithinLimitAsync();
        asked.Values.ShouldAllBe(text => text == string.Concat(Enumerable.Range(0, Tokens).Select(i => $"{i} ")));
    }

    [Fact]
    public async Task A_stream_that_fails_says_so_in_its_last_delta()
    {
        await using var service = await MessagingUnderTest.StartAsync();
        var deltas = await service.ListenAsync<InferenceDelta>("shop", published: true);
        await service.SendAsync(MessagingUnderTest.Good with { WantDeltas = true });
        var held = await service.Gateway.TakeAsync();
        await held.BeginAsync();
        await held.SayAsync("Hi");
        await held.FailAsync(ServingError.EngineFailed, "It broke.");

        (long Sequence, string Text, string? Error)[] seen = [.. await TakeAsync(deltas, 3)];

        seen.ShouldBe([(1, "", null), (2, "Hi", null), (3, "", "engine_failed")]);
    }

    [Fact]
    public async Task What_another_gateway_began_is_sent_on_from_there()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var held = await BeginAsync(gateway, "chatcmpl-abc");
        for (var i = 0; i < 5; i++) await held.SayAsync($"{i}", finish: i == 4 ? FinishReason.Stop : null);
        await held.FinishAsync();
        var sender = new RecordingSender();

        (await StreamsOf(gateway, sender).SendAsync(new FollowInference { InferenceId = "chatcmpl-abc", After = 3 }, Token).WithinLimitAsync()).Answer.ShouldBe(BrokerAnswer.Acknowledge);

        sender.Deltas.Select(delta => (delta.Sequence, delta.Text)).ShouldBe([(4, "2"), (5, "3"), (6, "4"), (7, ""), (8, "")]);
        sender.Names.ShouldBeUnique();
        sender.Deltas[^1].IsLast.ShouldBeTrue();
    }

    [Fact]
    public async Task The_broker_holds_a_stream_up_and_a_failed_send_is_no_gap()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var held = await BeginAsync(gateway, "chatcmpl-abc");
        await held.SayAsync("a", finish: FinishReason.Stop);
        await held.FinishAsync();
        var sender = new RecordingSender { FailAt = 3 };
        var streams = StreamsOf(gateway, sender);

        await Should.ThrowAsync<ServingException>(() => streams.SendAsync(new FollowInference { InferenceId = "chatcmpl-abc" }, Token));
        await streams.SendAsync(new FollowInference { InferenceId = "chatcmpl-abc" }, Token).WithinLimitAsync(); // the message came again

        sender.Deltas.Select(delta => delta.Sequence).ShouldBe([1, 2, 1, 2, 3, 4]);
        sender.Names[0].ShouldBe(sender.Names[2], "the same part has the same message id");
    }

    [Fact]
    public async Task A_stopping_gateway_hands_its_streams_on()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var held = await BeginAsync(gateway, "chatcmpl-abc");
        await held.SayAsync("a");
        var sender = new RecordingSender();
        var sending = StreamsOf(gateway, sender).SendAsync(new FollowInference { InferenceId = "chatcmpl-abc", CorrelationId = NewId.NextGuid() }, Token);
        await sender.Reached(2).WithinLimitAsync();

        gateway.BeginStop();
        await held.SayAsync("b");

        (await sending.WithinLimitAsync()).Answer.ShouldBe(BrokerAnswer.Acknowledge);
        sender.Follows.ShouldHaveSingleItem().After.ShouldBe(sender.Deltas[^1].Sequence);
        sender.Deltas.ShouldNotContain(delta => delta.IsLast);
    }

    [Fact]
    public async Task A_stream_of_something_unknown_ends_with_the_reason()
    {
        await using var gateway = await GatewayUnderTest.StartAsync();
        var sender = new RecordingSender();

        await StreamsOf(gateway, sender).SendAsync(new FollowInference { InferenceId = "chatcmpl-none", After = 7 }, Token).WithinLimitAsync();

        var last = sender.Deltas.ShouldHaveSingleItem();
        (last.Sequence, last.IsLast, last.ErrorCode).ShouldBe((8, true, "request_not_found"));
    }

    private static async Task<IEnumerable<(long Sequence, string Text, string? Error)>> TakeAsync(System.Threading.Channels.ChannelReader<ConsumeContext<InferenceDelta>> deltas, int count)
    {
        var taken = new List<(long, string, string?)>();
        while (taken.Count < count)
        {
            var delta = (await MessagingUnderTest.NextAsync(deltas)).Message;
            taken.Add((delta.Sequence, delta.Text, delta.ErrorCode));
        }

        return taken;
    }

    private static async Task<HeldRequest> BeginAsync(GatewayUnderTest gateway, string id)
    {
        await gateway.Services.GetRequiredService<RequestService>().SubmitAsync(
            new Call
            {
                Id = new RequestId(id),
                Endpoint = EndpointName.ChatCompletions,
                Owner = new Owner("local", "local", MessageRecords.Key),
                Body = System.Text.Encoding.UTF8.GetBytes(MessagingUnderTest.Body),
                PromiseAfter = TimeSpan.Zero,
            },
            Token);
        var held = await gateway.TakeAsync();
        await held.BeginAsync();
        return held;
    }

    private static DeltaStreams StreamsOf(GatewayUnderTest gateway, IMessageSender sender) => ActivatorUtilities.CreateInstance<DeltaStreams>(
        gateway.Services, sender, ActivatorUtilities.CreateInstance<MessageRecords>(gateway.Services));

    private sealed class RecordingSender : IMessageSender
    {
        private readonly Lock _lock = new();
        private readonly List<(int Count, TaskCompletionSource Signal)> _waits = [];

        public List<InferenceDelta> Deltas { get; } = [];

        public List<Guid> Names { get; } = [];

        public List<FollowInference> Follows { get; } = [];

        /// <summary>Which send fails; 0: none.</summary>
        public int FailAt { get; set; }

        public bool IsConnected => true;

        public Task Reached(int count)
        {
            lock (_lock)
            {
                if (Deltas.Count >= count) return Task.CompletedTask;
                var signal = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _waits.Add((count, signal));
                return signal.Task;
            }
        }

        public Task<bool> SendAsync<T>(Uri? address, T message, MessageNames names, CancellationToken cancellationToken)
            where T : class
        {
            lock (_lock)
            {
                if (Deltas.Count + 1 == FailAt)
                {
                    FailAt = 0;
                    throw new ServingException(new ServingFault(ServingError.StoreUnavailable, "Away."));
                }

                Deltas.Add((InferenceDelta)(object)message);
                Names.Add(names.MessageId);
                foreach (var (count, signal) in _waits)
                {
                    if (Deltas.Count >= count) signal.TrySetResult();
                }
            }

            return Task.FromResult(true);
        }

        public Task<bool> SendAsync(FollowInference follow, MessageNames names, CancellationToken cancellationToken)
        {
            Follows.Add(follow);
            return Task.FromResult(true);
        }

        public string? WhyNot(Uri address) => null;
    }
}
