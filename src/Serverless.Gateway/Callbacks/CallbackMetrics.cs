using System.Diagnostics.Metrics;

namespace Serverless.Gateway.Callbacks;

/// <summary>What is counted of callbacks.</summary>
internal sealed class CallbackMetrics(IMeterFactory meters)
{
    private readonly Counter<long> _made = meters.Create("Serverless.Callbacks").CreateCounter<long>("serverless.callbacks", "{call}", "Calls to clients when a request had ended, by what became of them.");

    /// <summary>One was made: it was delivered, retried or failed.</summary>
    public void Made(string outcome) => _made.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
}
