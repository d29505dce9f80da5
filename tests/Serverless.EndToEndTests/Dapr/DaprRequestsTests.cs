using System.Globalization;
using System.Text;
using System.Text.Json;
using Serverless.EndToEndTests.Distributed;
using Serverless.Events;
using Shouldly;

namespace Serverless.EndToEndTests.Dapr;

/// <summary>Requests as events and what they are answered with, over the apps of <c>dapr.yaml</c>, real daprds, a RabbitMQ and a Redis.</summary>
public sealed class DaprRequestsTests(DaprRequestsTests.Run run) : IClassFixture<DaprRequestsTests.Run>
{
    private const string Replies = "shop.answers";
    private const string Delta = "dev.serverless.request.delta";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Deltas_and_the_end_come_in_order_where_the_event_asked()
    {
        const int Streams = 20;
        await run.StartAsync();
        for (var i = 0; i < Streams; i++) await run.Neighbour.PublishAsync(EventTopics.Requests, Event("stream", i, $"\"replyTo\":\"{Replies}\",\"deltas\":true,"), Token);

        var texts = new Dictionary<string, (long Last, string Text, bool Whole)>(StringComparer.Ordinal);
        var ends = new Dictionary<string, (int Times, string Text)>(StringComparer.Ordinal);
        while (texts.Count < Streams || texts.Values.Any(stream => !stream.Whole) || ends.Count < Streams || ends.Values.Any(end => end.Times < 2)) // on both topics
        {
            var told = await NextAsync(() => $"{texts.Count} streams, {texts.Values.Count(stream => stream.Whole)} of them whole; {ends.Count} ends, {ends.Values.Count(end => end.Times > 1)} of them on both topics");
            var data = JsonElement.Parse(told.Data.Span);
            if (!data.GetProperty("event").GetProperty("id").GetString()!.StartsWith("stream-", StringComparison.Ordinal)) continue; // of the other test
            if (told.Type == Delta)
            {
                var stream = texts.GetValueOrDefault(told.Subject!, (0, "", false));
                var sequence = data.GetProperty("sequence").GetInt64();
                if (sequence <= stream.Last) continue; // it came twice
                sequence.ShouldBe(stream.Last + 1);
                told.TraceParent.ShouldStartWith("00-0af7651916cd43dd8448eb211c80319c-");
                texts[told.Subject!] = (sequence, stream.Text + data.GetProperty("text").GetString(), data.GetProperty("last").GetBoolean());
                continue;
            }

            told.Type.ShouldBe("dev.serverless.request.completed", Encoding.UTF8.GetString(told.Data.Span));
            ends[told.Subject!] = (ends.GetValueOrDefault(told.Subject!).Times + 1, data.GetProperty("response").GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!);
        }

        foreach (var (id, stream) in texts) stream.Text.ShouldBe(ends[id].Text, id);
    }

    [Fact]
    public async Task Events_that_come_twice_and_in_another_order_have_one_request_each_though_the_sidecar_is_killed()
    {
        const int Events = 100;
        await run.StartAsync();
        for (var i = 0; i < Events; i++)
        {
            await run.Neighbour.PublishAsync(EventTopics.Requests, Event("twice", i), Token);
            if (i == Events / 2) await RestartSidecarAsync();
        }

        for (var i = Events - 1; i >= 0; i--) await run.Neighbour.PublishAsync(EventTopics.Requests, Event("twice", i), Token); // again, in another order

        var requests = new Dictionary<string, string>(StringComparer.Ordinal);
        while (requests.Count < Events)
        {
            var told = await NextAsync(() => $"{requests.Count} requests");
            var asked = JsonElement.Parse(told.Data.Span).GetProperty("event").GetProperty("id").GetString()!;
            if (!asked.StartsWith("twice-", StringComparison.Ordinal)) continue;

            told.Type.ShouldBe("dev.serverless.request.completed", Encoding.UTF8.GetString(told.Data.Span));
            if (requests.TryGetValue(asked, out var before)) told.Subject.ShouldBe(before, "one request for an event");
            requests[asked] = told.Subject!;
        }

        requests.Values.ShouldBeUnique();
    }

    private static CloudEvent Event(string name, int number, string fields = "") => new()
    {
        Id = string.Create(CultureInfo.InvariantCulture, $"{name}-{number}"),
        Source = "/shop",
        Type = "shop.asked",
        TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        Data = Encoding.UTF8.GetBytes($$$"""{{{{fields}}}"endpoint":"/v1/chat/completions","body":{"model":"sim","messages":[{"role":"user","content":"{{{name}}} {{{number}}}"}],"max_tokens":8} }"""),
    };

    private async Task<CloudEvent> NextAsync(Func<string> came)
    {
        try
        {
            return await run.NextAsync();
        }
        catch (TimeoutException exception)
        {
            throw new InvalidOperationException($"Nothing came for a minute; there are {came()}. {run.Output} {await run.RabbitMq.ListQueuesAsync(Token)}", exception);
        }
    }

    private async Task RestartSidecarAsync()
    {
        var sidecar = run.Apps.Sidecar("gateway");
        await sidecar.KillAsync();
        await sidecar.StartAsync(CancellationToken.None);
        await sidecar.ServesAppAsync(CancellationToken.None);
    }

    public sealed class Run : SimulatedRun
    {
        public override IReadOnlyList<string> Topics { get; } = [EventTopics.Results, Replies];

        protected override IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>(base.Environment, StringComparer.Ordinal) { ["Gateway__Events__ReplyTopics__0"] = Replies };
    }
}
