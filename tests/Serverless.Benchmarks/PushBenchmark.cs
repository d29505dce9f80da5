using System.Globalization;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Requests;
using Serverless.Scaler.Protos;
using Serverless.Sessions;

namespace Serverless.Benchmarks;

/// <summary>From a request that its queue has accepted, for a model at zero, to the push at KEDA's end of the wire; aim: 50 ms.</summary>
internal static class PushBenchmark
{
    private const int Requests = 500;

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var scaler = await ScalerUnderLoad.StartAsync(1, services => services
            .AddSingleton(new QueueLimits())
            .AddSingleton<IRequestQueue, MemoryRequestQueue>()
            .AddSingleton<IRequestLog, MemoryRequestLog>()
            .AddSingleton<MemoryWorkerSessions>()
            .AddSingleton<IWorkerSessions>(provider => provider.GetRequiredService<MemoryWorkerSessions>())
            .AddDispatchers());
        var (queue, log) = (scaler.Services.GetRequiredService<IRequestQueue>(), scaler.Services.GetRequiredService<IRequestLog>());
        using var stream = scaler.Client.StreamIsActive(ScalerUnderLoad.Reference(0), cancellationToken: cancellationToken);
        List<TimeSpan> times = [];
        for (var i = 0; i < Requests; i++)
        {
            await UntilAsync(stream, active: false, cancellationToken);
            var request = Request();
            await log.OpenAsync(request.Id, new LogHead(request.Model, request.Promise, "", request.Deadline), cancellationToken);
            await queue.EnqueueAsync(request, cancellationToken);
            var accepted = TimeProvider.System.GetTimestamp();
            await UntilAsync(stream, active: true, cancellationToken);
            times.Add(TimeProvider.System.GetElapsedTime(accepted));
            await log.EndAsync(request.Id, new RequestEvent.Cancelled("measured"), cancellationToken);
        }

        var warm = times.Skip(times.Count / 10).ToArray();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"push: accepted → on the wire, {warm.Length} requests: p50 {warm.At(0.5).TotalMilliseconds:F2} ms, p99 {warm.At(0.99).TotalMilliseconds:F2} ms (aim ≤ 50 ms)"));
    }

    private static async Task UntilAsync(AsyncServerStreamingCall<IsActiveResponse> stream, bool active, CancellationToken cancellationToken)
    {
        do
        {
            if (!await stream.ResponseStream.MoveNext(cancellationToken)) throw new InvalidOperationException("The stream ended.");
        }
        while (stream.ResponseStream.Current.Result != active);
    }

    private static InferenceRequest Request() => new()
    {
        Id = RequestId.New("chatcmpl-"),
        Model = ScalerUnderLoad.Model(0),
        Endpoint = EndpointName.ChatCompletions,
        Body = "{}"u8.ToArray(),
        PromptTokens = 10,
        MaxOutputTokens = 20,
        Seed = 1,
        AcceptedAt = TimeProvider.System.GetUtcNow(),
        Deadline = TimeProvider.System.GetUtcNow().AddMinutes(1),
    };
}
