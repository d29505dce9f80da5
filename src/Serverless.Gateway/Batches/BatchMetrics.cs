using System.Diagnostics.Metrics;
using Serverless.Batches;

namespace Serverless.Gateway.Batches;

/// <summary>What is counted of batches, by the gateways that run them.</summary>
internal sealed class BatchMetrics
{
    private readonly Counter<long> _lines;
    private readonly Counter<long> _commits;
    private readonly Counter<long> _ended;
    private readonly UpDownCounter<long> _running;
    private readonly Counter<long> _swept;

    public BatchMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("Serverless.Batches");
        _running = meter.CreateUpDownCounter<long>("serverless.batches.running", "{batch}", "Batches that this gateway runs.");
        _ended = meter.CreateCounter<long>("serverless.batches.ended", "{batch}", "Batches that came to their end.");
        _lines = meter.CreateCounter<long>("serverless.batches.lines", "{line}", "Lines of batches whose results were kept.");
        _commits = meter.CreateCounter<long>("serverless.batches.commits", "{commit}", "Times that results were kept, each with two or three writes.");
        _swept = meter.CreateCounter<long>("serverless.batches.swept", "{file}", "Pieces and segments that no batch names any more and that were deleted.");
    }

    public void Began() => _running.Add(1);

    public void Left() => _running.Add(-1);

    public void Ended(BatchStatus status) => _ended.Add(1, new KeyValuePair<string, object?>("status", BatchDirectory.Word(status)));

    public void Committed(BatchResults results)
    {
        _commits.Add(1);
        Count("answered", results.Answered);
        Count("failed", results.Failed);
        Count("expired", results.Expired);
    }

    public void Swept(int files) => _swept.Add(files);

    private void Count(string outcome, int lines)
    {
        if (lines > 0) _lines.Add(lines, new KeyValuePair<string, object?>("outcome", outcome));
    }
}
