using System.Globalization;
using System.Text.Json;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi.SgLang;

/// <summary>Engine <c>sglang</c>: <c>sglang serve</c>, or a Python that has it, started with <c>--enable-metrics</c>. Each rank says the same, so the largest counts. It names no tokens; how many they are it says along.</summary>
internal sealed class SgLangDialect : EngineDialect
{
    private static readonly string[] Command = ["serve"];
    private static readonly string[] Module = ["-m", "sglang.launch_server"];

    public override EngineDescriptor Descriptor { get; } = new()
    {
        Name = "sglang",
        Params = [OpenAiParams.Server, OpenAiParams.Url, OpenAiParams.Slots(256), OpenAiParams.Scheduling, OpenAiParams.Args, OpenAiParams.ServedName, OpenAiParams.ApiKeyVariable, OpenAiParams.SilenceSeconds],
        HereWith = [OpenAiParams.Server.Name, OpenAiParams.Url.Name],
        Honours = [EngineFeature.JsonOutput, EngineFeature.ForcedToolCall, EngineFeature.LogitBias, EngineFeature.Penalties, EngineFeature.RepetitionPenalty],
    };

    public override string MetricsHelp => "; start it with --enable-metrics";

    public override bool CountsEachChoice => true;

    /// <summary>Releases without the command <c>sglang</c> are modules of a Python.</summary>
    public override EngineLaunch Launch(EngineStart start)
    {
        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        return new EngineLaunch(
        [
            .. Path.GetFileName(start.Program).StartsWith("python", StringComparison.Ordinal) ? Module : Command, "--model-path", start.Model, "--host", "127.0.0.1", "--port", Text(start.Port),
            "--served-model-name", start.ServedName, "--context-length", Text(start.ContextTokens), "--max-running-requests", Text(start.Slots), "--enable-metrics", .. start.Revision is { } revision ? ["--revision", revision] : Array.Empty<string>(),
            .. start.ByDeadline ? ["--enable-priority-scheduling", "--schedule-low-priority-values-first"] : Array.Empty<string>(),
        ]);
    }

    /// <summary>Without metrics the server's own description says how large its cache is.</summary>
    public override async Task<EngineFacts> MeetAsync(EngineQuestions ask, Pool pool, int slots, EngineSample? sample, CancellationToken cancellationToken)
    {
        var facts = await base.MeetAsync(ask, pool, slots, sample, cancellationToken);
        if (sample?.KvCapacityTokens is not null) return facts;

        foreach (var path in (string[])["server_info", "get_server_info"]) // of now, and of before
        {
            if (await ask.TextAsync(path, cancellationToken) is not { } text) continue;

            using var info = JsonDocument.Parse(text);
            if (info.RootElement.Get("max_total_num_tokens")?.Int() is { } tokens) return facts with { KvTokens = tokens };
        }

        return facts;
    }

    /// <summary>Of all tokens it says −1, and refuses 0.</summary>
    public override double? SamplingOf(string field, double value) => field == "top_k" && value == 0 ? -1 : value;

    /// <summary>It refuses a priority where it was not started to have any.</summary>
    public override void WriteMore(Utf8JsonWriter json, InferenceRequest request, bool byDeadline)
    {
        if (byDeadline) json.WriteNumber("priority", PriorityOf(request));
    }

    public override void WriteStreamOptions(Utf8JsonWriter json) => json.WriteBoolean("continuous_usage_stats", true);

    public override EngineSample Read(PrometheusText metrics)
    {
        var capacity = metrics.Max("sglang:max_total_num_tokens");
        var used = metrics.Max("sglang:kv_used_tokens", "sglang:num_used_tokens");
        return new EngineSample((int?)metrics.Max("sglang:num_running_reqs"), (int?)metrics.Max("sglang:num_queue_reqs"), (long?)used, (long?)capacity)
        {
            KvUsedShare = metrics.Max("sglang:token_usage"),
            PromptTokens = metrics.Max("sglang:prompt_tokens_total"),
            GeneratedTokens = metrics.Max("sglang:generation_tokens_total"),
            CachedTokens = metrics.Sum("sglang:cached_tokens_total"),
            Preemptions = metrics.Max("sglang:num_retracted_requests_total"),
        };
    }
}
