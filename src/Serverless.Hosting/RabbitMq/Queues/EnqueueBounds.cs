using System.Collections.Concurrent;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>
/// The bounds of a queue that many processes enqueue to: what the model's dispatcher says is pending, and what this process has enqueued that the dispatcher cannot have counted yet.
/// What others enqueued within the last second is not known here, so a bound may be passed by that much. Thread-safe.
/// </summary>
internal sealed class EnqueueBounds(QueueLimits limits, IDemandFeed demand, TimeProvider time)
{
    /// <summary>From an enqueue to the demand that counts it: the way through the broker, the publisher's tenth of a second, clocks that differ.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<ModelName, ModelBounds> _models = new();

    /// <summary>Counts the request in, or says which bound it would break.</summary>
    public ServingFault? Admit(InferenceRequest request) => Of(request.Model).Admit(request, demand.Latest(request.Model), time.GetUtcNow());

    /// <summary>It is not in the queue, or no more: never enqueued, or completed here.</summary>
    public void Forget(InferenceRequest request)
    {
        if (_models.TryGetValue(request.Model, out var model)) model.Forget((request.Id, request.Promise));
    }

    private ModelBounds Of(ModelName model) => _models.GetOrAdd(model, static (name, limits) => new ModelBounds(name, limits), limits);

    private sealed class ModelBounds(ModelName model, QueueLimits limits)
    {
        private readonly Lock _lock = new();
        private readonly QueueGauge _gauge = new(model, limits);
        private readonly Dictionary<(RequestId Id, Promise Promise), Entry> _recent = [];
        private readonly Queue<((RequestId Id, Promise Promise) Key, Entry Entry)> _order = [];

        public ServingFault? Admit(InferenceRequest request, ModelDemand? latest, DateTimeOffset now)
        {
            lock (_lock)
            {
                Settle(latest, now);
                var (key, owner, load) = ((request.Id, request.Promise), request.Owner.Organization, QueueLoad.Of(request));
                if (_recent.ContainsKey(key)) return null;
                if (_gauge.Check(owner, load, Pending(latest), PendingOf(owner, latest), latest?.ServedTokensPerSecond ?? 0, latest?.PendingByOrganization.Select(pending => pending.Organization)) is { } fault) return fault;

                var entry = new Entry(owner, load, now, request.Deadline);
                _gauge.Add(owner, load);
                _recent.Add(key, entry);
                _order.Enqueue((key, entry));
                return null;
            }
        }

        public void Forget((RequestId Id, Promise Promise) key)
        {
            lock (_lock)
            {
                if (_recent.Remove(key, out var entry)) _gauge.Remove(entry.Organization, entry.Load);
            }
        }

        private static QueueLoad Pending(ModelDemand? latest) =>
            latest is null ? default : new QueueLoad(latest.PendingRequests, latest.PendingPromptTokens + latest.PendingOutputTokens, latest.PendingBytes);

        /// <summary>Bytes by organization are not told; they are taken to be like its tokens.</summary>
        private static QueueLoad PendingOf(string organization, ModelDemand? latest)
        {
            var share = latest?.PendingByOrganization.FirstOrDefault(pending => pending.Organization == organization) ?? default;
            var tokens = latest is null ? 0 : latest.PendingPromptTokens + latest.PendingOutputTokens;
            return new QueueLoad(share.Requests, share.Tokens, tokens == 0 ? 0 : (long)((double)latest!.PendingBytes * share.Tokens / tokens));
        }

        /// <summary>Leaves to the dispatcher what it has counted by now, and to nobody what has expired.</summary>
        private void Settle(ModelDemand? latest, DateTimeOffset now)
        {
            while (_order.TryPeek(out var oldest))
            {
                var (key, entry) = oldest;
                var isRecent = _recent.TryGetValue(key, out var current) && ReferenceEquals(current, entry);
                if (isRecent && entry.Deadline > now && !(latest is not null && entry.At + Settling <= latest.At)) return;

                _order.Dequeue();
                if (!isRecent) continue;
                _recent.Remove(key);
                _gauge.Remove(entry.Organization, entry.Load);
            }
        }

        private sealed record Entry(string Organization, QueueLoad Load, DateTimeOffset At, DateTimeOffset Deadline);
    }
}
