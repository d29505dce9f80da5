using System.Text.Json;
using Serverless.Catalog.Engines;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi.LlamaCpp;

/// <summary>llama.cpp's <c>llama-server</c>, started with <c>--metrics</c>. It says nothing of its cache, which is so many slots of so many tokens.</summary>
internal sealed class LlamaCppDialect : EngineDialect
{
    public override string Name => LlamaCppEngineFactory.Described.Name;

    public override IReadOnlyList<EngineFeature> Honours => LlamaCppEngineFactory.Described.Honours;

    /// <summary>It refuses more than one.</summary>
    public override bool TakesSeveralChoices => false;

    public override string NameOf(string field) => field == "repetition_penalty" ? "repeat_penalty" : field;

    /// <summary>Tokens are counted by what it says, text held back and all; and while it reads a long prompt it is heard.</summary>
    public override void WriteMore(Utf8JsonWriter json, InferenceRequest request)
    {
        json.WriteBoolean("timings_per_token", true);
        json.WriteBoolean("return_progress", true);
    }

    public override EngineSample Read(PrometheusText metrics) => new((int?)metrics.Sum("llamacpp:requests_processing"), (int?)metrics.Sum("llamacpp:requests_deferred"), null, null)
    {
        PromptTokens = metrics.Sum("llamacpp:prompt_tokens_total"),
        PromptSeconds = metrics.Sum("llamacpp:prompt_seconds_total"),
        GeneratedTokens = metrics.Sum("llamacpp:tokens_predicted_total"),
        CachedTokens = metrics.Sum("llamacpp:prompt_tokens_cached_total"),
    };
}
