using System.Threading.Channels;
using Serverless.Catalog;
using Serverless.Scaling.Plans;

namespace Serverless.FunctionalTests.Scaler;

/// <summary>Keeps what it is asked for; refuses while told to.</summary>
internal sealed class RecordingTarget : IScaleTarget
{
    private readonly Channel<int> _asked = Channel.CreateBounded<int>(64);

    public bool Refuses { get; set; }

    public ChannelReader<int> Asked => _asked.Reader;

    public async ValueTask ScaleAsync(PoolName pool, int replicas, CancellationToken cancellationToken)
    {
        if (Refuses) throw new InvalidOperationException("No machine.");
        await _asked.Writer.WriteAsync(replicas, cancellationToken);
    }
}
