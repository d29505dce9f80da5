using System.Globalization;
using System.Text.Json;
using Serverless.Catalog.Engines;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi.Vllm;

/// <summary>Engine <c>vllm</c>: <c>vllm serve</c>, V1 and the names that V0 had for its metrics. It names its tokens, and honours what it is asked but for settings that only some of its releases know.</summary>
internal sealed class VllmDialect : EngineDialect
{
    public override EngineDescriptor Descriptor { get; } = new()
    {
        Name = "vllm",
        Params = [OpenAiParams.Server, OpenAiParams.Url, OpenAiParams.Slots(256), OpenAiParams.Scheduling, OpenAiParams.Args, OpenAiParams.ServedName, OpenAiParams.ApiKeyVariable, OpenAiParams.SilenceSeconds],
        HereWith = [OpenAiParams.Server.Name, OpenAiParams.Url.Name],
        Honours = [EngineFeature.JsonOutput, EngineFeature.ForcedToolCall, EngineFeature.LogitBias, EngineFeature.Penalties, EngineFeature.RepetitionPenalty],
    };

    public override bool CountsEachChoice => true;

    public override EngineLaunch Launch(EngineStart start)
    {
        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        return new EngineLaunch(
        [
            "serve", start.Model, "--host", "127.0.0.1", "--port", Text(start.Port), "--served-model-name", start.ServedName, "--max-model-len", Text(start.ContextTokens), "--max-num-seqs", Text(start.Slots),
            "--enable-prompt-tokens-details", .. start.Revision is { } revision ? ["--revision", revision] : Array.Empty<string>(), .. start.ByDeadline ? ["--scheduling-policy", "priority"] : Array.Empty<string>(),
        ]);
    }

    public override void WriteMore(Utf8JsonWriter json, InferenceRequest request, bool byDeadline)
    {
        json.WriteBoolean("return_token_ids", true);
        if (byDeadline) json.WriteNumber("priority", PriorityOf(request)); // else some releases refuse it
    }

    public override EngineSample Read(PrometheusText metrics)
    {
        // One series for each engine of a data-parallel group: their caches add up, and each says its own share.
        var capacities = metrics.Of("vllm:cache_config_info").ToDictionary(info => info.Labels.GetValueOrDefault("engine", ""), CapacityOf, StringComparer.Ordinal);
        var usage = metrics.Of("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc");
        long? capacity = capacities.Count > 0 && capacities.Values.All(one => one > 0) ? capacities.Values.Sum() : null;
        long? used = capacity is null || usage.Count == 0 ? null : (long)usage.Sum(one => one.Value * (capacities.TryGetValue(one.Labels.GetValueOrDefault("engine", ""), out var own) ? own : capacity.Value / (double)usage.Count));
        return new EngineSample((int?)metrics.Sum("vllm:num_requests_running"), Waiting(metrics), used, capacity)
        {
            PromptTokens = metrics.Sum("vllm:prompt_tokens_total"),
            GeneratedTokens = metrics.Sum("vllm:generation_tokens_total"),
            CachedTokens = metrics.Sum("vllm:prefix_cache_hits_total", "vllm:prefix_cache_hits", "vllm:gpu_prefix_cache_hits_total"),
            Preemptions = metrics.Sum("vllm:num_preemptions_total", "vllm:num_preemptions"),
        };
    }

    /// <summary>Those for want of room alone, where they are told apart: the others wait for something else.</summary>
    private static int? Waiting(PrometheusText metrics) => metrics.Of("vllm:num_requests_waiting_by_reason") is { Count: > 0 } reasons
        ? (int)reasons.Where(one => one.Labels.GetValueOrDefault("reason") == "capacity").Sum(one => one.Value)
        : (int?)metrics.Sum("vllm:num_requests_waiting");

    /// <summary>Blocks times their size is wrong for hybrid models, so what it says itself comes first.</summary>
    private static long CapacityOf(MetricSample info) => info.Number("kv_cache_size_tokens") ?? (info.Number("num_gpu_blocks") * info.Number("block_size")) ?? 0;
}
