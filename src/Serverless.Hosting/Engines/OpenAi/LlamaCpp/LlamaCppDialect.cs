using System.Globalization;
using System.Text.Json;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Engines;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi.LlamaCpp;

/// <summary>Engine <c>llamacpp</c>: <c>llama-server</c>, started with <c>--metrics</c>, over a GGUF file of this machine. It says nothing of its KV cache but how large it is: as many slots of so many tokens.</summary>
internal sealed class LlamaCppDialect : EngineDialect
{
    public override EngineDescriptor Descriptor { get; } = new()
    {
        Name = "llamacpp",
        Params =
        [
            OpenAiParams.Server, OpenAiParams.Url, OpenAiParams.Slots(4),
            new FlavorParam("threads", 1, 1024, Whole: true, "threads of the started `server`") { Chosen = "the engine's" },
            OpenAiParams.Args, OpenAiParams.ApiKeyVariable, OpenAiParams.SilenceSeconds,
        ],
        HereWith = [OpenAiParams.Server.Name, OpenAiParams.Url.Name],
        ReadsFile = true,
        HasItsModelWith = OpenAiParams.Url.Name,
        DefaultFlavor = "cpu",
        Honours =
        [
            EngineFeature.JsonOutput, EngineFeature.LogitBias, EngineFeature.Penalties, EngineFeature.RepetitionPenalty, EngineFeature.TypicalSampling, EngineFeature.DryPenalty,
        ],
    };

    public override string MetricsHelp => "; start it with --metrics";

    /// <summary>It refuses more than one.</summary>
    public override bool TakesSeveralChoices => false;

    public override bool ClipsOutput => true;

    public override EngineLaunch Launch(EngineStart start)
    {
        static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
        string[] all = ["-m", start.Model, "--host", "127.0.0.1", "--port", Text(start.Port), "-np", Text(start.Slots), "-c", Text((long)start.Slots * start.ContextTokens), "--metrics", "--slots", "--jinja"];
        return new EngineLaunch(start.Threads > 0 ? [.. all, "-t", Text(start.Threads)] : all);
    }

    /// <summary>It serves one model, whatever it is asked for.</summary>
    public override async Task<EngineFacts> MeetAsync(EngineQuestions ask, Pool pool, int slots, EngineSample? sample, CancellationToken cancellationToken)
    {
        var props = await ask.JsonAsync("props", cancellationToken);
        return props.Get("total_slots")?.Int() is { } total && props.Get("default_generation_settings")?.Get("n_ctx")?.Int() is { } each
            ? new EngineFacts(total, (long)total * each, pool.Model.Name.Value, each)
            : throw new EngineLoadException($"Pool '{pool.Name}': {ask.Address}props does not say how many slots it has; is it a llama-server?");
    }

    public override string NameOf(string field) => field == "repetition_penalty" ? "repeat_penalty" : field;

    /// <summary>Tokens are counted by what it says, text held back and all; and while it reads a long prompt it is heard.</summary>
    public override void WriteMore(Utf8JsonWriter json, InferenceRequest request, bool byDeadline)
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
