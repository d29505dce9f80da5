using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Requests;
using Serverless.Scaling.Capacity;

namespace Serverless.Gateway.Waiting;

/// <summary>The queue as a request sees it, from the model's published demand and the state of its pools. Thread-safe.</summary>
internal sealed class QueueView(ICapacityFeed capacity, IDemandFeed demand, IOptions<WaitOptions> options, TimeProvider time)
{
    /// <summary>Tokens of pending work ahead of a request, when it was taken in.</summary>
    public const string TokensAheadHeader = "X-Queue-Tokens-Ahead";

    /// <summary>Milliseconds until it is taken up, when it was taken in; absent where nothing honest can be said.</summary>
    public const string EstimatedWaitHeader = "X-Queue-Estimated-Wait-Ms";

    private static readonly TimeSpan LongestRetryAfter = TimeSpan.FromSeconds(60);

    private readonly Lock _lock = new();
    private readonly UnseenWork _unseen = new();

    /// <summary>What a request of that place waits for now.</summary>
    public WaitEstimate Estimate(Model model, FairPlace place) => WaitEstimator.Estimate(
        model, demand.Latest(model.Name), [.. model.Pools.Select(pool => capacity.Latest(pool.Name))], place, options.Value, time.GetUtcNow());

    /// <summary>Lets a request in, or refuses it because it cannot meet its deadline, judged by its own place in the fair order: it would only take the place of what can.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.DeadlineUnreachable"/>.</exception>
    public WaitEstimate RequireReachable(Model model, InferenceRequest request)
    {
        var now = time.GetUtcNow();
        var latest = demand.Latest(model.Name);
        PoolCapacity[] pools = [.. model.Pools.Select(pool => capacity.Latest(pool.Name))];
        var patience = request.Deadline - request.AcceptedAt;
        WaitEstimate estimate;
        TimeSpan soonestEnd;
        lock (_lock)
        {
            var place = new FairPlace(request.Lane, request.Owner.Organization) { Unseen = _unseen.Since(model.Name, latest?.At ?? DateTimeOffset.MinValue, now) };
            estimate = WaitEstimator.Estimate(model, latest, pools, place, options.Value, now);
            soonestEnd = WaitEstimator.SoonestEnd(estimate, model, latest, pools, request);
            if (soonestEnd <= patience)
            {
                _unseen.Add(model.Name, request.Lane, request.Owner.Organization, WaitEstimator.ExpectedTokens(latest, request), now);
                return estimate;
            }
        }

        var text = string.Create(
            CultureInfo.InvariantCulture,
            $"{estimate.TokensAhead} tokens are ahead of it in the queue of '{model.Name}', so that an answer takes at least {soonestEnd.TotalSeconds:F0} s; the request may take {patience.TotalSeconds:F0} s. Send it later, allow more with X-Request-Timeout, or take an id with 'Prefer: respond-async'.");
        throw new ServingException(new ServingFault(ServingError.DeadlineUnreachable, text, RetryAfter: Bounded(soonestEnd - patience)));
    }

    /// <summary>A full queue's refusal with the delay after which it has drained, where that can be told.</summary>
    public ServingFault WithRetryAfter(ServingFault fault, ModelName model) =>
        fault.Error == ServingError.QueueFull && WaitEstimator.DrainTime(demand.Latest(model)) is { } drained ? fault with { RetryAfter = Bounded(drained) } : fault;

    /// <summary>Tells in headers; before the answer begins.</summary>
    public static void WriteHeaders(IHeaderDictionary headers, WaitEstimate estimate)
    {
        headers[TokensAheadHeader] = estimate.TokensAhead.ToString(CultureInfo.InvariantCulture);
        if (estimate.Expected is { } wait) headers[EstimatedWaitHeader] = wait.TotalMilliseconds.ToString("F0", CultureInfo.InvariantCulture);
    }

    private static TimeSpan Bounded(TimeSpan delay) => TimeSpan.FromSeconds(Math.Clamp(Math.Ceiling(delay.TotalSeconds), 1, LongestRetryAfter.TotalSeconds));
}
