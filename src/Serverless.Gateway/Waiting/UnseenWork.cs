using Serverless.Catalog;

namespace Serverless.Gateway.Waiting;

/// <summary>Tokens that this gateway has let in and the published demand cannot have counted yet: without them everything that comes between two publications finds the same short queue. Not thread-safe.</summary>
internal sealed class UnseenWork
{
    /// <summary>From here to the dispatcher's backlog.</summary>
    private static readonly TimeSpan Way = TimeSpan.FromMilliseconds(50);

    /// <summary>By then it is counted, whatever the clocks say.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    private readonly Dictionary<ModelName, (Queue<(DateTimeOffset At, long Tokens)> Entries, long Sum)> _models = [];

    public void Add(ModelName model, long tokens, DateTimeOffset now)
    {
        var (entries, sum) = _models.GetValueOrDefault(model);
        entries ??= new();
        entries.Enqueue((now, tokens));
        _models[model] = (entries, sum + tokens);
    }

    /// <summary>Those let in since demand was published as of <paramref name="seen"/>.</summary>
    public long Since(ModelName model, DateTimeOffset seen, DateTimeOffset now)
    {
        if (!_models.TryGetValue(model, out var unseen)) return 0;

        var (entries, sum) = unseen;
        while (entries.TryPeek(out var oldest) && (oldest.At + Way <= seen || oldest.At + Longest <= now)) sum -= entries.Dequeue().Tokens;
        _models[model] = (entries, sum);
        return sum;
    }
}
