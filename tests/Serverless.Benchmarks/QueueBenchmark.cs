using System.Text;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RabbitMQ.Client;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.EndToEndTests.Parts;
using Serverless.Hosting.RabbitMq.Messages;
using Serverless.Requests;

namespace Serverless.Benchmarks;

/// <summary>
/// Durable enqueues per second over a real RabbitMQ: ours, whose confirms are pipelined, by many callers that each wait for their own; the anchor, one confirm at a time on a
/// quorum queue of the same broker.
/// </summary>
internal static class QueueBenchmark
{
    private const int Callers = 256;
    private const int Enqueues = 4096;
    private const int OneByOne = 256;
    private const string AnchorQueue = "one-by-one";

    private static readonly ModelName Model = new("bench");
    private static readonly byte[] Body = Encoding.UTF8.GetBytes($$"""{"model":"bench","messages":[{"role":"user","content":"{{new string('x', 200)}}"}]}""");

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        if (RabbitMqServer.Absent is { } absent)
        {
            Console.WriteLine($"queue: {absent}");
            return;
        }

        await using var server = await RabbitMqServer.StartNewAsync(cancellationToken);
        ProcessorTime.Servers.Add(server.Process.Id);
        await using var services = Services(server);
        var queue = services.GetRequiredService<IRequestQueue>();
        await using var connection = await new ConnectionFactory { Uri = server.Url }.CreateConnectionAsync(cancellationToken);
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(true, true), cancellationToken);
        await channel.QueueDeclareAsync(AnchorQueue, true, false, false, new Dictionary<string, object?> { ["x-queue-type"] = "quorum" }, cancellationToken: cancellationToken);

        await Rounds.RunAsync(
            $"queue, durable enqueues, {Callers} callers, anchor one confirm at a time",
            async () => new(StringComparer.Ordinal) { ["enqueues/s"] = await PipelinedAsync(queue, cancellationToken) },
            async () => new(StringComparer.Ordinal) { ["enqueues/s"] = await OneByOneAsync(channel, cancellationToken) });
        ProcessorTime.Servers.Remove(server.Process.Id);
    }

    private static async Task<double> PipelinedAsync(IRequestQueue queue, CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(async _ =>
        {
            for (var i = 0; i < Enqueues / Callers; i++)
            {
                if ((await queue.EnqueueAsync(NewRequest(), cancellationToken)).Fault is { } fault) throw new InvalidOperationException(fault.Message);
            }
        }));
        return Enqueues / TimeProvider.System.GetElapsedTime(started).TotalSeconds;
    }

    private static async Task<double> OneByOneAsync(IChannel channel, CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        for (var i = 0; i < OneByOne; i++)
        {
            var request = NewRequest();
            using var message = Envelope.Wrap(request, Envelope.Latest, int.MaxValue, TimeProvider.System.GetUtcNow(), out _)!;
            await channel.BasicPublishAsync("", AnchorQueue, mandatory: true, message.Properties, message.Body, cancellationToken);
        }

        return OneByOne / TimeProvider.System.GetElapsedTime(started).TotalSeconds;
    }

    private static ServiceProvider Services(RabbitMqServer server) => new ServiceCollection()
        .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["RabbitMq:Url"] = server.Url.ToString() }).Build())
        .AddSingleton(new QueueLimits { MaxRequests = int.MaxValue, MaxTokens = long.MaxValue, MaxBytes = long.MaxValue })
        .AddSingleton<IDemandFeed, MemoryDemandFeed>()
        .AddLogging()
        .AddRabbitMqQueue()
        .BuildServiceProvider();

    private static InferenceRequest NewRequest()
    {
        var now = TimeProvider.System.GetUtcNow();
        return new InferenceRequest
        {
            Id = RequestId.New("chatcmpl-"),
            Model = Model,
            Endpoint = EndpointName.ChatCompletions,
            Body = Body,
            PromptTokens = 60,
            MaxOutputTokens = 100,
            Promise = Promise.Id,
            Seed = 1,
            AcceptedAt = now,
            Deadline = now.AddHours(1),
        };
    }
}
