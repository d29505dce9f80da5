using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Serverless.Errors;

namespace Serverless.Gateway.Requests;

/// <summary>From the moment the host is told to stop: no new requests, and a bounded time for those that run. Thread-safe.</summary>
internal sealed class ShutdownGate : IDisposable
{
    private readonly CancellationTokenSource _drained = new();
    private readonly CancellationTokenRegistration _stopping;
    private readonly ITimer _timer;

    public ShutdownGate(IHostApplicationLifetime lifetime, IOptions<StreamingOptions> options, TimeProvider time)
    {
        _timer = time.CreateTimer(static source => ((CancellationTokenSource)source!).Cancel(), _drained, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _stopping = lifetime.ApplicationStopping.Register(() =>
        {
            IsStopping = true;
            _timer.Change(options.Value.DrainTimeout, Timeout.InfiniteTimeSpan);
        });
    }

    /// <summary>What clients of a stopping host are told.</summary>
    public static ServingFault Fault { get; } = new(ServingError.ShuttingDown, "This server is shutting down; send the request again.");

    /// <summary>Whether new requests are refused.</summary>
    public bool IsStopping { get; private set; }

    /// <summary>Cancelled when what still runs must end now.</summary>
    public CancellationToken Drained => _drained.Token;

    public void Dispose()
    {
        _stopping.Dispose();
        _timer.Dispose();
        _drained.Dispose();
    }
}
