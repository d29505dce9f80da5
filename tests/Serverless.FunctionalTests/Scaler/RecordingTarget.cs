using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Scaling.Plans;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>Keeps each change of what it is asked for, and counts how often it is asked; refuses while told to.</summary>
internal sealed class RecordingTarget : IScaleTarget
{
    private readonly Channel<int> _asked = Channel.CreateBounded<int>(64);

    private int _last;
    private int _calls;

    public int Calls => Volatile.Read(ref _calls);

    public bool Refuses { get; set; }

    public ChannelReader<int> Asked => _asked.Reader;

    public async ValueTask ScaleAsync(PoolName pool, int replicas, CancellationToken cancellationToken)
    {
        if (Refuses) throw new InvalidOperationException("No machine.");
        Interlocked.Increment(ref _calls);
        if (Interlocked.Exchange(ref _last, replicas) != replicas) await _asked.Writer.WriteAsync(replicas, cancellationToken);
    }
}
