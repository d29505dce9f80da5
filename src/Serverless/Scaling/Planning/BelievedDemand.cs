using System.Collections.Concurrent;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Loops;
using Serverless.Requests;

namespace Serverless.Scaling.Planning;

/// <summary>
/// The demand of each model: its dispatcher's while that speaks, else what waits in the broker × the mean request. A model whose dispatcher is silent while the broker cannot be
/// asked keeps its last demand, which the planner knows to be old. Reading never waits. Thread-safe.
/// </summary>
public sealed class BelievedDemand(IDemandFeed feed, ICatalogSource catalog, PlannerOptions options, TimeProvider time, IRequestQueue? queue = null)
{
    private const int AtOnce = 16;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<ModelName, ModelDemand> _asked = new();
    private readonly ConcurrentDictionary<ModelName, RequestMean> _means = new();

    /// <summary>The newer of the dispatcher's demand and the broker's; null when neither is known.</summary>
    public ModelDemand? Latest(ModelName model)
    {
        var told = feed.Latest(model);
        if (_asked.IsEmpty || !_asked.TryGetValue(model, out var asked)) return told;
        return told is null || asked.At > told.At ? asked : told;
    }

    /// <summary>Whether <see cref="Latest"/> has work.</summary>
    public bool HasWork(ModelName model) => _asked.IsEmpty ? feed.HasWork(model) : Latest(model) is { HasWork: true };

    /// <summary>Whether the demand of some model is the broker's count, of whose changes <see cref="WatchAllAsync"/> tells nothing.</summary>
    public bool IsCounted => !_asked.IsEmpty;

    /// <summary>Demands of dispatchers as they come, many at once.</summary>
    public IAsyncEnumerable<IReadOnlyCollection<ModelDemand>> WatchAllAsync(CancellationToken cancellationToken) => feed.WatchAllAsync(cancellationToken);

    /// <summary>What a request of that model asks for on average.</summary>
    public RequestMean MeanOf(ModelName model) => _means.GetValueOrDefault(model, RequestMean.Prior);

    /// <summary>Takes the mean that the planner has learned.</summary>
    public void Learn(ModelName model, RequestMean mean) => _means[model] = mean;

    /// <summary>Asks the broker about every model whose dispatcher is silent, until stopped; without a broker it does nothing.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        if (queue is null) return;

        using var timer = new PeriodicTimer(Interval, time.Aligned());
        do await AskAsync(stoppingToken);
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    /// <summary>Asks once. A broker that does not answer in time is asked again at the next turn.</summary>
    internal Task AskAsync(CancellationToken cancellationToken)
    {
        var silent = catalog.Current.Models.Where(IsSilent).Select(model => model.Name).ToArray();
        foreach (var model in _asked.Keys.Except(silent).ToArray()) _asked.TryRemove(model, out _);
        return Parallel.ForEachAsync(silent, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken }, AskAsync);
    }

    private bool IsSilent(Model model)
    {
        var now = time.GetUtcNow();
        return feed.Latest(model.Name) is not { } told || now - told.At > options.StaleAfter;
    }

    private async ValueTask AskAsync(ModelName model, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var depth = await queue!.DepthAsync(model, either.Token).AsTask().WaitAsync(either.Token);
            _asked[model] = MeanOf(model).Of(model, depth.Requests, time.GetUtcNow());
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
        }
        catch (ServingException)
        {
            // The broker is away: the demand stays old, and the plan holds.
        }
    }
}

/// <summary>What a request of a model asks for on average, learned from what waited: it turns a number of requests in the broker into work. Immutable plain data.</summary>
/// <param name="PromptTokens">Prompt tokens.</param>
/// <param name="OutputTokens">Expected output tokens.</param>
public sealed record RequestMean(double PromptTokens, double OutputTokens)
{
    private const double Smoothing = 0.05;

    /// <summary>Before anything was seen.</summary>
    public static RequestMean Prior { get; } = new(500, 250);

    /// <summary>The mean after that demand was seen; the same where nothing waits or the figures are nonsense.</summary>
    public RequestMean After(ModelDemand? demand)
    {
        if (demand is not { PendingRequests: > 0, PendingPromptTokens: >= 0, PendingOutputTokens: >= 0 }) return this;

        return new RequestMean(
            PromptTokens + (Smoothing * (((double)demand.PendingPromptTokens / demand.PendingRequests) - PromptTokens)),
            OutputTokens + (Smoothing * (((double)demand.PendingOutputTokens / demand.PendingRequests) - OutputTokens)));
    }

    /// <summary>The demand of so many requests of which nothing else is known.</summary>
    internal ModelDemand Of(ModelName model, long requests, DateTimeOffset now) => new()
    {
        Model = model,
        At = now,
        PendingRequests = (int)Math.Clamp(requests, 0, int.MaxValue),
        PendingPromptTokens = (long)Math.Clamp(requests * PromptTokens, 0, long.MaxValue / 4),
        PendingOutputTokens = (long)Math.Clamp(requests * OutputTokens, 0, long.MaxValue / 4),
    };
}
