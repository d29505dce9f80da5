using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Serverless.Batches;
using Serverless.Gateway.Notices;
using Serverless.Loops;

namespace Serverless.Gateway.Batches;

/// <summary>The ends of batches as events: type <c>dev.serverless.batch.{completed|failed|expired|cancelled}</c>, id and subject the batch's id, data the batch. Thread-safe.</summary>
internal sealed class BatchNotices(EventNotices notices, IOptions<NoticeOptions> options, Supervisor supervisor, IHostApplicationLifetime lifetime)
{
    /// <summary>Tells the end of a batch, or gives it up: a matter of seconds.</summary>
    public Task TellEndAsync(Batch ended, CancellationToken cancellationToken) => options.Value.BatchTopic is { Length: > 0 } topic
        ? notices.TellAsync(topic, EventOf(ended), cancellationToken)
        : Task.CompletedTask;

    /// <summary>The same, and nobody waits for it.</summary>
    public void BeginTellEnd(Batch ended) => _ = supervisor.RunAsync("batch-notices", stop => TellEndAsync(ended, stop), lifetime.ApplicationStopping);

    private static Events.CloudEvent EventOf(Batch ended) =>
        EventNotices.Event(ended.Id, "batch." + BatchDirectory.Word(ended.Status), ended.Id, ended.EndedAt ?? ended.CreatedAt, BatchObject.EncodeNotice(ended)) with { TraceParent = ended.TraceParent };
}
