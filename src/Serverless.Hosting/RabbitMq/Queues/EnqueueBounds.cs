using System.Collections.Concurrent;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>
/// The bounds of queues that many processes enqueue to, each model's and that of all together: what the models' dispatchers say is pending, and what this process has enqueued that they
/// cannot have counted yet. What others enqueued within the last second is not known here, so a bound may be passed by that much. Thread-safe.
/// </summary>
internal sealed class EnqueueBounds(QueueLimits limits, IDemandFeed demand, TimeProvider time)
{
    /// <summary>From an enqueue to the demand that counts it: the way through the broker, the publisher's tenth of a second, clocks that differ.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<ModelName, ModelBounds> _models = new();
    private readonly AllBytes _all = new(limits.MaxTotalBytes);

    /// <summary>Counts the request in, or says which bound it would break.</summary>
    public ServingFault? Admit(InferenceRequest request)
    {
        var now = time.GetUtcNow();
        var model = _models.GetOrAdd(request.Model, static (name, bounds) => new ModelBounds(name, bounds.limits, bounds._all), (limits, _all));
        if (_all.IsStale(now)) Refresh(now);
        return model.Admit(request, demand.Latest(request.Model), now);
    }

    /// <summary>What the model's dispatcher said last.</summary>
    public ModelDemand? Latest(ModelName model) => demand.Latest(model);

    /// <summary>It is not in the queue, or no more: never enqueued, or completed here.</summary>
    public void Forget(InferenceRequest request)
    {
        if (_models.TryGetValue(request.Model, out var model)) model.Forget((request.Id, request.Promise));
    }

    /// <summary>What waits of all models this process enqueues to.</summary>
    private void Refresh(DateTimeOffset now)
    {
        var pending = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var (name, model) in _models)
        {
            var latest = demand.Latest(name);
            model.Settle(latest, now);
            if (latest is not { PendingBytes: > 0 }) continue;
            foreach (var share in latest.PendingByOrganization) pending[share.Organization] = pending.GetValueOrDefault(share.Organization) + ModelBounds.PendingOf(share, latest).Bytes;
            if (latest.PendingByOrganization.Count == 0) pending[""] = pending.GetValueOrDefault("") + latest.PendingBytes;
        }

        _all.Refresh(pending, now);
    }

    /// <summary>
    /// Bytes of all models together. One organization takes at most as much as it leaves free, as in <see cref="ByteBudget"/>: alone half of the limit, and a newcomer always finds
    /// something. Thread-safe.
    /// </summary>
    private sealed class AllBytes(long limit)
    {
        /// <summary>Looking at a thousand models takes a tenth of a millisecond, so not with every request.</summary>
        private static readonly TimeSpan Fresh = TimeSpan.FromMilliseconds(250);

        private readonly Lock _lock = new();
        private readonly Dictionary<string, long> _recent = new(StringComparer.Ordinal);
        private Dictionary<string, long> _pending = new(StringComparer.Ordinal);
        private long _recentBytes;
        private long _pendingBytes;
        private DateTimeOffset _at = DateTimeOffset.MinValue;

        public bool IsStale(DateTimeOffset now)
        {
            lock (_lock) return now - _at >= Fresh;
        }

        public void Refresh(Dictionary<string, long> pending, DateTimeOffset now)
        {
            lock (_lock) (_pending, _pendingBytes, _at) = (pending, pending.Values.Sum(), now);
        }

        public ServingFault? TryTake(string organization, long bytes)
        {
            lock (_lock)
            {
                var (held, own) = (_recentBytes + _pendingBytes, _recent.GetValueOrDefault(organization) + _pending.GetValueOrDefault(organization));
                if (bytes > 0 && own + bytes > limit - held - bytes)
                {
                    return new ServingFault(
                        ServingError.QueueFull,
                        $"The queues of all models hold {held} of {limit} bytes, {own} of them your organization's: {bytes} more would leave others less than it holds; try again later.",
                        RetryAfter: TimeSpan.FromSeconds(5));
                }

                AddNeedsLock(organization, bytes);
                return null;
            }
        }

        public void Return(string organization, long bytes)
        {
            lock (_lock) AddNeedsLock(organization, -bytes);
        }

        private void AddNeedsLock(string organization, long bytes)
        {
            _recentBytes += bytes;
            var own = _recent.GetValueOrDefault(organization) + bytes;
            if (own > 0) _recent[organization] = own;
            else _recent.Remove(organization);
        }
    }

    private sealed class ModelBounds(ModelName model, QueueLimits limits, AllBytes all)
    {
        private readonly Lock _lock = new();
        private readonly QueueGauge _gauge = new(model, limits);
        private readonly Dictionary<(RequestId Id, Promise Promise), Entry> _recent = [];
        private readonly Queue<((RequestId Id, Promise Promise) Key, Entry Entry)> _order = [];

        public ServingFault? Admit(InferenceRequest request, ModelDemand? latest, DateTimeOffset now)
        {
            lock (_lock)
            {
                SettleNeedsLock(latest, now);
                var (key, owner, load) = ((request.Id, request.Promise), request.Owner.Organization, QueueLoad.Of(request));
                if (_recent.ContainsKey(key)) return null;

                var share = latest?.PendingByOrganization.FirstOrDefault(pending => pending.Organization == owner) ?? default;
                var fault = _gauge.Check(owner, load, Pending(latest), PendingOf(share, latest), latest?.ServedTokensPerSecond ?? 0, latest?.PendingByOrganization.Select(pending => pending.Organization))
                    ?? all.TryTake(owner, load.Bytes);
                if (fault is not null) return fault;

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
                if (_recent.Remove(key, out var entry)) LeaveNeedsLock(entry);
            }
        }

        /// <summary>Leaves to the dispatcher what it has counted by now, and to nobody what has expired.</summary>
        public void Settle(ModelDemand? latest, DateTimeOffset now)
        {
            lock (_lock) SettleNeedsLock(latest, now);
        }

        /// <summary>Bytes by organization are not told; they are taken to be like its tokens.</summary>
        public static QueueLoad PendingOf(PendingShare share, ModelDemand? latest)
        {
            var tokens = latest is null ? 0 : latest.PendingPromptTokens + latest.PendingOutputTokens;
            return new QueueLoad(share.Requests, share.Tokens, tokens == 0 ? 0 : (long)((double)latest!.PendingBytes * share.Tokens / tokens));
        }

        private static QueueLoad Pending(ModelDemand? latest) =>
            latest is null ? default : new QueueLoad(latest.PendingRequests, latest.PendingPromptTokens + latest.PendingOutputTokens, latest.PendingBytes);

        private void SettleNeedsLock(ModelDemand? latest, DateTimeOffset now)
        {
            while (_order.TryPeek(out var oldest))
            {
                var (key, entry) = oldest;
                var isRecent = _recent.TryGetValue(key, out var current) && ReferenceEquals(current, entry);
                if (isRecent && entry.Deadline > now && !(latest is not null && entry.At + Settling <= latest.At)) return;

                _order.Dequeue();
                if (!isRecent) continue;
                _recent.Remove(key);
                LeaveNeedsLock(entry);
            }
        }

        private void LeaveNeedsLock(Entry entry)
        {
            _gauge.Remove(entry.Organization, entry.Load);
            all.Return(entry.Organization, entry.Load.Bytes);
        }

        private sealed record Entry(string Organization, QueueLoad Load, DateTimeOffset At, DateTimeOffset Deadline);
    }
}
