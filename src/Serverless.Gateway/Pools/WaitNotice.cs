using System.Globalization;
using System.Text;
using Serverless.Catalog;
using Serverless.Dispatching;
using Serverless.Scaling;

namespace Serverless.Gateway.Pools;

/// <summary>Says in one line what a request waits for: the state of its model's pools, and what is ahead of it.</summary>
internal sealed class WaitNotice(ICapacityFeed capacity, IDemandFeed demand)
{
    private const int LongestFailure = 160;

    /// <summary>For example: <c>pool m-cpu is loading 43 %, 1 request ahead, 120 tokens ahead</c>. Never holds a line break.</summary>
    /// <param name="model">Whose pools.</param>
    /// <param name="ownTokens">Tokens of the asking request, which is itself part of the demand.</param>
    public string Describe(Model model, long ownTokens)
    {
        var line = new StringBuilder();
        foreach (var pool in model.Pools)
        {
            if (line.Length > 0) line.Append("; ");
            line.Append("pool ").Append(pool.Name.Value).Append(' ');
            AppendState(line, capacity.Latest(pool.Name));
        }

        if (demand.Latest(model.Name) is { PendingRequests: > 1 } pending)
        {
            var ahead = pending.PendingRequests - 1;
            var tokens = Math.Max(0, pending.PendingPromptTokens + pending.PendingOutputTokens - ownTokens);
            line.Append(CultureInfo.InvariantCulture, $", up to {ahead} {(ahead == 1 ? "request" : "requests")} ahead, {tokens} tokens ahead");
        }

        return line.ToString();
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
                line.Append(CultureInfo.InvariantCulture, $"is loading {Math.Clamp(progress, 0, 1) * 100:0} %");
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
