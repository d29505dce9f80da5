namespace Serverless.Hosting.Engines.OpenAi.SgLang;

/// <summary>SGLang, started with <c>--enable-metrics</c>. Each rank says the same, so the largest counts.</summary>
internal sealed class SgLangDialect : EngineDialect
{
    public override string Name => "sglang";

    public override EngineSample Read(PrometheusText metrics)
    {
        var capacity = metrics.Max("sglang:max_total_num_tokens");
        var used = metrics.Max("sglang:kv_used_tokens", "sglang:num_used_tokens") ?? metrics.Max("sglang:token_usage") * capacity;
        return new EngineSample((int?)metrics.Max("sglang:num_running_reqs"), (int?)metrics.Max("sglang:num_queue_reqs"), (long?)used, (long?)capacity)
        {
            PromptTokens = metrics.Max("sglang:prompt_tokens_total"),
            GeneratedTokens = metrics.Max("sglang:generation_tokens_total"),
            CachedTokens = metrics.Sum("sglang:cached_tokens_total"),
            Preemptions = metrics.Max("sglang:num_retracted_requests_total"),
        };
    }
}
