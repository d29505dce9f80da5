using System.Diagnostics.Metrics;

namespace Serverless.Hosting.Sessions;

/// <summary>Figures of worker sessions, at both ends.</summary>
internal sealed class SessionMetrics
{
    private readonly Counter<long> _passedOver;
    private readonly Counter<long> _refused;

    public SessionMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Serverless.Sessions");
        _passedOver = meter.CreateCounter<long>("serverless.session.unread_messages", "{message}", "Messages of a session that this release cannot read: passed over, or given back where they were work.");
        _refused = meter.CreateCounter<long>("serverless.session.refusals", "{session}", "Sessions that were refused at the hello, by reason.");
    }

    public void Unread(string kind) => _passedOver.Add(1, new KeyValuePair<string, object?>("kind", kind));

    public void Refused(string reason) => _refused.Add(1, new KeyValuePair<string, object?>("reason", reason));
}
