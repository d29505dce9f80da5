using System.Diagnostics.Metrics;
using Serverless.Errors;

namespace Serverless.Hosting.MassTransit;

/// <summary>What messages came and went. Tags from closed sets only: our contracts' names.</summary>
internal sealed class MessageMetrics
{
    private readonly Counter<long> _received;
    private readonly Counter<long> _sent;
    private readonly UpDownCounter<long> _open;

    public MessageMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Serverless.Messages");
        _received = meter.CreateCounter<long>("serverless.messages.received", "{message}", "Messages of other services, by what became of them.");
        _sent = meter.CreateCounter<long>("serverless.messages.sent", "{message}", "Messages to other services, by how they went.");
        _open = meter.CreateUpDownCounter<long>("serverless.messages.open", "{message}", "Messages being worked on; of FollowInference, streams of deltas being sent.");
    }

    public void Opened(string type) => _open.Add(1, Type(type));

    public void Closed(string type, BrokerAnswer? answer)
    {
        _open.Add(-1, Type(type));
        _received.Add(1, Type(type), new("outcome", answer switch
        {
            BrokerAnswer.Acknowledge => "done",
            BrokerAnswer.Retry => "retried",
            BrokerAnswer.DeadLetter => "refused",
            _ => "returned",
        }));
    }

    public void Sent(string type, bool isPublished) => _sent.Add(1, Type(type), new("outcome", isPublished ? "published" : "sent"));

    public void Unsent(string type) => _sent.Add(1, Type(type), new("outcome", "failed"));

    private static KeyValuePair<string, object?> Type(string type) => new("message", type);
}
