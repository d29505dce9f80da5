using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Grpc.Core;
using Grpc.Net.Client;
using Serverless.Scaler.Protos;

namespace Serverless.Benchmarks;

/// <summary>
/// A thousand models at zero in the distributed shape: the processor time that gateway, scaler, Redis and RabbitMQ take together while nobody asks for any, and how long the first request
/// to one of them takes to reach KEDA, beside a shape of a single model.
/// </summary>
internal static class IdleBenchmark
{
    private const int Models = 1000;
    private const int Asked = 20;

    private static readonly TimeSpan Span = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Settling = TimeSpan.FromMinutes(8); // dispatchers linger for half a minute after their leases are new, and what runs every second or few is compiled again after thirty runs and once more after thirty: for minutes

    public static async Task RunAsync(CancellationToken cancellationToken)
    {
        TimeSpan[] many = [], one = [];
        await DistributedShape.RunAtZeroAsync(
            "idle",
            Models,
            async shape =>
            {
                await CostAsync(shape, Models, cancellationToken);
                many = await BeginsAsync(shape, Models, cancellationToken);
            },
            cancellationToken);
        if (many.Length == 0) return;

        await DistributedShape.RunAtZeroAsync(
            "idle",
            Asked,
            async shape =>
            {
                await CostAsync(shape, Asked, cancellationToken); // what the parts cost by themselves
                one = await BeginsAsync(shape, Asked, cancellationToken);
            },
            cancellationToken);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"  first request → KEDA is pushed: of {Models} models p50 {many.At(0.5).TotalMilliseconds:F1} ms, worst {many.Max().TotalMilliseconds:F1} ms; of {Asked} p50 {one.At(0.5).TotalMilliseconds:F1} ms, worst {one.Max().TotalMilliseconds:F1} ms; difference {(many.At(0.5) - one.At(0.5)).TotalMilliseconds:F1} ms (aim ≤ 50 ms)"));
    }

    private static async Task CostAsync(DistributedShape shape, int models, CancellationToken cancellationToken)
    {
        await WaitAsync(Settling, cancellationToken);
        var before = shape.Parts.Select(part => ProcessorTime.Of(part.Id)).ToArray();
        var began = TimeProvider.System.GetTimestamp();
        await WaitAsync(Span, cancellationToken);
        var took = TimeProvider.System.GetElapsedTime(began);
        var shares = shape.Parts.Select((part, i) => (part.Name, Share: (ProcessorTime.Of(part.Id) - before[i]) / took)).ToArray();
        var told = string.Join(", ", shares.Select(part => string.Create(CultureInfo.InvariantCulture, $"{part.Name} {part.Share:P2}")));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"idle, {models} models at zero for {took.TotalSeconds:F0} s: {told}; together {shares.Sum(part => part.Share):P2} of a core (aim ≤ 2 %)"));
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String("guest:guest"u8));
        using var overview = JsonDocument.Parse(await http.GetStringAsync(new Uri(shape.Management, "api/overview"), cancellationToken));
        if (overview.RootElement.TryGetProperty("object_totals", out var totals)) Console.WriteLine($"  at the broker: {totals.GetRawText()}");
    }

    private static async Task WaitAsync(TimeSpan span, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(span, TimeProvider.System);
        await timer.WaitForNextTickAsync(cancellationToken);
    }

    /// <summary>From a client's request to the push at KEDA's end of the wire, for models that nobody has asked for yet.</summary>
    private static async Task<TimeSpan[]> BeginsAsync(DistributedShape shape, int models, CancellationToken cancellationToken)
    {
        using var channel = GrpcChannel.ForAddress(shape.Scaler!, new GrpcChannelOptions { HttpHandler = new SocketsHttpHandler() });
        using var http = new HttpClient { BaseAddress = shape.Address, Timeout = Timeout.InfiniteTimeSpan };
        var client = new ExternalScaler.ExternalScalerClient(channel);
        List<TimeSpan> times = [];
        for (var i = 0; i < Asked; i++)
        {
            var model = string.Create(CultureInfo.InvariantCulture, $"{DistributedShape.Sleeping}{i * (models / Asked)}");
            using var stream = client.StreamIsActive(new ScaledObjectRef { Name = $"{model}-cpu", Namespace = "serverless" }, cancellationToken: cancellationToken);
            await UntilAsync(stream, active: false, cancellationToken);
            using var leave = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var began = TimeProvider.System.GetTimestamp();
            var asking = AskAsync(http, model, leave.Token);
            await UntilAsync(stream, active: true, cancellationToken);
            times.Add(TimeProvider.System.GetElapsedTime(began));
            await leave.CancelAsync();
            await asking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return [.. times.Skip(1)]; // the first compiles
    }

    private static async Task AskAsync(HttpClient http, string model, CancellationToken cancellationToken)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes($$"""{"model":"{{model}}","messages":[{"role":"user","content":"Hello"}],"max_tokens":4}""")) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        using var response = await http.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content, cancellationToken);
        throw new InvalidOperationException($"{model} was answered with {(int)response.StatusCode}, though nobody serves it: {await response.Content.ReadAsStringAsync(cancellationToken)}");
    }

    private static async Task UntilAsync(AsyncServerStreamingCall<IsActiveResponse> stream, bool active, CancellationToken cancellationToken)
    {
        do
        {
            if (!await stream.ResponseStream.MoveNext(cancellationToken)) throw new InvalidOperationException("The stream ended.");
        }
        while (stream.ResponseStream.Current.Result != active);
    }
}
