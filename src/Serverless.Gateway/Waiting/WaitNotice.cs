using System.Globalization;
using System.Text;
using Serverless.Catalog;
using Serverless.Gateway.Pools;
using Serverless.Scaling.Capacity;

namespace Serverless.Gateway.Waiting;

/// <summary>Says in one line what a request waits for: the state of its model's pools, and what is ahead of it.</summary>
internal sealed class WaitNotice(ICapacityFeed capacity, QueueView queue)
{
    private const int LongestFailure = 160;

    /// <summary>For example: <c>pool m-cpu is loading 43 %, up to 120 tokens ahead, about 8 s</c>. Never holds a line break.</summary>
    /// <param name="model">Whose pools.</param>
    /// <param name="place">Who asks; it is itself part of the demand.</param>
    public string Describe(Model model, FairPlace place)
    {
        var line = new StringBuilder();
        foreach (var pool in model.Pools)
        {
            if (line.Length > 0) line.Append("; ");
            line.Append("pool ").Append(pool.Name.Value).Append(' ');
            AppendState(line, capacity.Latest(pool.Name));
        }

        var estimate = queue.Estimate(model, place);
        if (estimate.TokensAhead > 0) line.Append(CultureInfo.InvariantCulture, $", up to {estimate.TokensAhead} tokens ahead");
        if (estimate.Expected is { TotalSeconds: >= 1 } wait) line.Append(CultureInfo.InvariantCulture, $", about {Round(wait.TotalSeconds)} s");
        return line.ToString();
    }

    /// <summary>Up to 1, 2, 3, 5, 10, 20, …: nobody knows it better, and a line that changes is sent.</summary>
    private static double Round(double seconds)
    {
        var unit = Math.Pow(10, Math.Floor(Math.Log10(seconds)));
        foreach (var step in (ReadOnlySpan<int>)[1, 2, 3, 5])
        {
            if (seconds <= step * unit) return step * unit;
        }

        return 10 * unit;
    }

    private static void AppendState(StringBuilder line, PoolCapacity pool)
    {
        switch (PoolStates.Of(pool))
        {
            case PoolState.Ready:
                line.Append(CultureInfo.InvariantCulture, $"has {pool.Ready} ready");
                break;
            case PoolState.Failed:
                line.Append("failed to start and is tried again: ").Append(OneLine(pool.LastFailure!));
                break;
            case PoolState.Starting when pool.LoadingProgress is { } progress:
                line.Append(CultureInfo.InvariantCulture, $"is {(pool.Pulling ? "pulling" : "loading")} {Math.Clamp(progress, 0, 1) * 100:0} %");
                break;
            case PoolState.Starting:
                line.Append("is starting");
                break;
            case PoolState.Draining:
                line.Append("is draining");
                break;
            default:
                line.Append("is at zero");
                break;
        }
    }

    /// <summary>A line break inside an SSE comment would begin a field.</summary>
    private static string OneLine(string text)
    {
        var line = text.Length <= LongestFailure ? text : text[..LongestFailure] + "…";
        return line.ReplaceLineEndings(" ").Replace('\r', ' ').Replace('\n', ' ');
    }
}
