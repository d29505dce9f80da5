using Serverless.Catalog;
using Serverless.Requests;

namespace Serverless.Gateway.Waiting;

/// <summary>Tokens that this gateway has let in and the published demand cannot have counted yet, by lane and organization: without them everything that comes between two publications finds the same short queue. Not thread-safe.</summary>
internal sealed class UnseenWork
{
    /// <summary>From here to the dispatcher's backlog.</summary>
    private static readonly TimeSpan Way = TimeSpan.FromMilliseconds(50);

    /// <summary>By then it is counted, whatever the clocks say.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    private readonly Dictionary<ModelName, Unseen> _models = [];

    public void Add(ModelName model, Lane lane, string organization, long tokens, DateTimeOffset now)
    {
        if (!_models.TryGetValue(model, out var unseen)) _models[model] = unseen = new Unseen();
        unseen.Entries.Enqueue((now, (lane, organization), tokens));
        unseen.Sums[(lane, organization)] = unseen.Sums.GetValueOrDefault((lane, organization)) + tokens;
    }

    /// <summary>Those let in since demand was published as of <paramref name="seen"/>. Good until the next call.</summary>
    public IReadOnlyDictionary<(Lane Lane, string Organization), long> Since(ModelName model, DateTimeOffset seen, DateTimeOffset now)
    {
        if (!_models.TryGetValue(model, out var unseen)) return Unseen.None;

        while (unseen.Entries.TryPeek(out var oldest) && (oldest.At + Way <= seen || oldest.At + Longest <= now))
        {
            unseen.Entries.Dequeue();
            var left = unseen.Sums[oldest.Whose] - oldest.Tokens;
            if (left > 0) unseen.Sums[oldest.Whose] = left;
            else unseen.Sums.Remove(oldest.Whose);
        }

        return unseen.Sums;
    }

    private sealed class Unseen
    {
        public static readonly Dictionary<(Lane Lane, string Organization), long> None = [];

        public Queue<(DateTimeOffset At, (Lane Lane, string Organization) Whose, long Tokens)> Entries { get; } = [];

        public Dictionary<(Lane Lane, string Organization), long> Sums { get; } = [];
    }
}
