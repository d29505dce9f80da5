using Dapr;
using Dapr.Client;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace Serverless.Hosting.Dapr;

/// <summary>One state component as keys, bytes and tags. Every write is compare-and-set: stores that tell first writes from last ones (Redis) then never let one pass the other.</summary>
internal sealed class DaprState(DaprClient client, DaprCalls calls, IOptions<DaprOptions> options)
{
    private const string What = "The state store";

    private static readonly StateOptions FirstWrite = new() { Concurrency = ConcurrencyMode.FirstWrite };

    private readonly string _store = options.Value.StateStore;

    /// <summary>What a message has beside the value: the store's name, the key, its tag and metadata.</summary>
    private const int AroundValue = 4 * 1024;

    /// <summary>Bytes of the longest value.</summary>
    public int MaxValueBytes { get; } = options.Value.MaxMessageBytes - AroundValue;

    /// <summary>The value and its tag; null where there is none.</summary>
    public async Task<(ReadOnlyMemory<byte> Value, string Tag)?> GetAsync(string key, CancellationToken cancellationToken)
    {
        var (value, tag) = await calls.RunAsync(What, token => client.GetByteStateAndETagAsync(_store, key, ConsistencyMode.Strong, null, token), cancellationToken);
        return value.IsEmpty ? null : (value, tag);
    }

    /// <summary>Writes if the key still has <paramref name="tag"/>, or still has no value where that is null.</summary>
    public Task<bool> TrySaveAsync(string key, ReadOnlyMemory<byte> value, string? tag, TimeSpan? timeToLive, CancellationToken cancellationToken)
    {
        // Stores leave an earlier time to live in place unless told otherwise, hence -1.
        var seconds = timeToLive is { } life ? Math.Max(1, (long)Math.Ceiling(life.TotalSeconds)) : -1;
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal) { ["ttlInSeconds"] = seconds.ToString(System.Globalization.CultureInfo.InvariantCulture) };
        return tag is null
            ? CreateAsync(key, value, metadata, cancellationToken)
            : calls.RunAsync(What, token => client.TrySaveByteStateAsync(_store, key, value, tag, FirstWrite, metadata, token), cancellationToken);
    }

    public Task<bool> TryDeleteAsync(string key, string tag, CancellationToken cancellationToken) =>
        calls.RunAsync(What, token => client.TryDeleteStateAsync(_store, key, tag, FirstWrite, null, token), cancellationToken);

    /// <summary>Dapr has no answer of its own for "there is one already": the refusal looks like any failure, and only looking again tells.</summary>
    private async Task<bool> CreateAsync(string key, ReadOnlyMemory<byte> value, Dictionary<string, string> metadata, CancellationToken cancellationToken)
    {
        var saved = await calls.RunAsync(What, SaveAsync, cancellationToken);
        if (saved) return true;
        if (await GetAsync(key, cancellationToken) is null) throw DaprCalls.Unreachable(What, null);
        return false;

        async Task<bool> SaveAsync(CancellationToken token)
        {
            try
            {
                await client.SaveByteStateAsync(_store, key, value, FirstWrite, metadata, token);
                return true;
            }
            catch (DaprException exception) when (exception.InnerException is RpcException { StatusCode: StatusCode.Internal or StatusCode.Aborted or StatusCode.Unknown })
            {
                return false;
            }
        }
    }
}
