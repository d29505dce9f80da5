using System.Threading.Channels;
using Serverless.Errors;
using Serverless.Events;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>What was told on topics. Thread-safe.</summary>
internal sealed class ToldEvents(params IReadOnlyList<string> topics) : IEventHandler
{
    private readonly Channel<CloudEvent> _told = Channel.CreateBounded<CloudEvent>(100_000);

    public IReadOnlyList<string> Topics => topics;

    /// <summary>The first that is so, of those that were not looked at yet.</summary>
    public async Task<CloudEvent> FindAsync(Func<CloudEvent, bool> isSo, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (await _told.Reader.ReadAsync(cancellationToken) is var told && isSo(told)) return told;
        }
    }

    public async ValueTask<BrokerVerdict> HandleAsync(CloudEvent cloudEvent, CancellationToken cancellationToken)
    {
        await _told.Writer.WriteAsync(cloudEvent, cancellationToken);
        return BrokerVerdict.Done;
    }
}
