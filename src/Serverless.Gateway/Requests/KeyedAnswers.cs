using Microsoft.Extensions.Logging;
using Serverless.Gateway.OpenAI;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>
/// Keeps whole answers that were asked for under an idempotency key for whoever asks again after their logs are gone, whether or not their clients stayed for them: it is told of the end
/// where that is seen, not where it is sent. As well as can be: a connection promises no more than its log. Thread-safe.
/// </summary>
internal sealed partial class KeyedAnswers(RequestRecords records, RecordReader reader, TimeProvider time, ILogger<KeyedAnswers> logger) : IEndObserver
{
    private const int MostTries = 4;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    /// <inheritdoc/>
    public async ValueTask<bool> EndedAsync(RequestEnd end, CancellationToken cancellationToken)
    {
        var request = end.Request;
        if (request.Promise == Promise.Connection && end.Outcome != RequestOutcome.Cancelled && ShapeCodec.IsKeyedWhole(request.Shape.Span)) await KeepAsync(request, cancellationToken);
        return true;
    }

    private async Task KeepAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        try
        {
            await StoreRetry.RunAsync(time, () => TryKeepAsync(request, cancellationToken), cancellationToken, MostTries, new Backoff(FirstPause, LongestPause));
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            LogNotRemembered(request.Id, e.Message);
        }
    }

    private async Task TryKeepAsync(InferenceRequest request, CancellationToken cancellationToken)
    {
        var ended = await reader.UpdateAsync(PromisedRequests.RecordOf(request, null, null), cancellationToken);
        if (ended is { IsFinal: true }) await records.CreateAsync(ended with { Published = true }, cancellationToken);
    }

    [LoggerMessage(LogLevel.Warning, "The answer of {Request} could not be kept under its idempotency key; it is replayed only while its log is kept: {Reason}")]
    private partial void LogNotRemembered(RequestId request, string reason);
}
