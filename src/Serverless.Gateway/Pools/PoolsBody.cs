using System.Text.Json;
using Serverless.Catalog;
using Serverless.Demand;
using Serverless.Gateway.OpenAI;
using Serverless.Scaling.Capacity;
using Serverless.Scaling.Planning;
using Serverless.Scaling.Plans;

namespace Serverless.Gateway.Pools;

/// <summary>What operators see of the pools: <c>GET /admin/pools</c>. Token counts are the model's and so equal in all its pools; <c>kvUsed</c> is a share, 0 to 1, of the pool's own.</summary>
internal sealed class PoolsBody(ICatalogSource catalog, ICapacityFeed capacity, IDemandFeed demand, IScaleJournal journal)
{
    private static readonly JsonSerializerOptions InputsOptions = new(JsonSerializerDefaults.Web);

    /// <summary>All pools.</summary>
    public byte[] Encode() => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteStartArray("pools");
        foreach (var pool in catalog.Current.Pools) WritePool(json, pool);
        json.WriteEndArray();
        json.WriteEndObject();
    });

    /// <summary>The kept decisions of a pool, oldest first; null if there is no such pool.</summary>
    public byte[]? EncodeDecisions(PoolName name) => catalog.Current.Find(name) is null ? null : JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        json.WriteString("pool", name.Value);
        json.WriteStartArray("decisions");
        foreach (var decision in journal.History(name)) WriteDecision(json, decision, withInputs: true);
        json.WriteEndArray();
        json.WriteEndObject();
    });

    /// <summary>A pool as it is told: with what it was before, and the most replicas that its model may have.</summary>
    public byte[] EncodeNotice(Pool pool, string? previous) => JsonBody.Encode(json =>
    {
        json.WriteStartObject();
        WriteFields(json, pool);
        json.WriteNumber("maxReplicas", pool.Model.Scaling.MaxReplicas);
        json.WriteString("previous", previous);
        json.WriteEndObject();
    });

    private void WritePool(Utf8JsonWriter json, Pool pool)
    {
        json.WriteStartObject();
        WriteFields(json, pool);
        json.WriteEndObject();
    }

    private void WriteFields(Utf8JsonWriter json, Pool pool)
    {
        var now = capacity.Latest(pool.Name);
        var work = demand.Latest(pool.Model.Name);

        json.WriteString("name", pool.Name.Value);
        json.WriteString("model", pool.Model.Name.Value);
        json.WriteString("class", pool.Flavor.AcceleratorClass);
        json.WriteString("state", PoolStates.Word(PoolStates.Of(now)));
        json.WriteNumber("desired", now.Desired);
        json.WriteNumber("ready", now.Ready);
        json.WriteNumber("pendingTokens", work is null ? 0 : work.PendingPromptTokens + work.PendingOutputTokens);
        json.WriteNumber("runningTokens", work?.RunningTokens ?? 0);
        json.WriteNumber("kvUsed", KvUsed(pool.Name, work));
        if (now.LoadingProgress is { } progress)
        {
            json.WriteString("loadingPhase", now.Pulling ? "pulling" : "loading");
            json.WriteNumber("loadingProgress", progress);
        }

        if (now.LastFailure is { } failure) json.WriteString("lastFailure", failure);
        if (now.LastColdStartSeconds is { } seconds) json.WriteNumber("lastColdStartSeconds", seconds);
        json.WritePropertyName("lastDecision");
        if (journal.Latest(pool.Name) is { } decision) WriteDecision(json, decision, withInputs: false);
        else json.WriteNullValue();
    }

    private static double KvUsed(PoolName pool, ModelDemand? work)
    {
        var (used, held) = (0L, 0L);
        foreach (var replica in work?.Replicas ?? [])
        {
            if (replica.Pool != pool) continue;
            used += replica.KvUsedTokens;
            held += replica.KvCapacityTokens;
        }

        return held == 0 ? 0 : Math.Round((double)used / held, 4);
    }

    private static void WriteDecision(Utf8JsonWriter json, ScaleDecision decision, bool withInputs)
    {
        json.WriteStartObject();
        json.WriteString("at", decision.At);
        json.WriteNumber("replicas", decision.Replicas);
        json.WriteBoolean("active", decision.Active);
        json.WriteStartArray("reasons");
        foreach (var reason in decision.Reasons) json.WriteStringValue(reason);
        json.WriteEndArray();
        if (withInputs && decision.Inputs is { } inputs)
        {
            json.WritePropertyName("inputs");
            JsonSerializer.Serialize(json, inputs, InputsOptions);
        }

        json.WriteEndObject();
    }
}
