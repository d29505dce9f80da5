using System.Text.Json;
using Serverless.Catalog.Engines;

namespace Serverless.Hosting.Engines.OpenAi.LlamaCpp;

/// <summary>llama.cpp's <c>llama-server</c>, started with <c>--metrics</c>. It says nothing of its cache, which is so many slots of so many tokens.</summary>
internal sealed class LlamaCppDialect : EngineDialect
{
    public override EngineDescriptor Descriptor { get; } = new()
    {
        Name = "llamacpp",
        Params = LlamaCppParams.All,
        ReadsFile = true,
        DefaultFlavor = "cpu",
        Resources = ["cpu"],
        Honours =
        [
            EngineFeature.JsonOutput, EngineFeature.ForcedToolCall, EngineFeature.LogitBias, EngineFeature.Penalties, EngineFeature.RepetitionPenalty, EngineFeature.TypicalSampling, EngineFeature.DryPenalty,
        ],
    };

    /// <summary>It refuses more than one.</summary>
    public override bool TakesSeveralChoices => false;

    /// <summary>It goes on from a final assistant message unasked.</summary>
    public override void WriteContinue(Utf8JsonWriter json)
    {
    }

    public override string NameOf(string field) => field == "repetition_penalty" ? "repeat_penalty" : field;

    public override EngineSample Read(PrometheusText metrics) => new((int?)metrics.Sum("llamacpp:requests_processing"), (int?)metrics.Sum("llamacpp:requests_deferred"), null, null)
    {
        PromptTokens = metrics.Sum("llamacpp:prompt_tokens_total"),
        GeneratedTokens = metrics.Sum("llamacpp:tokens_predicted_total"),
    };
}
