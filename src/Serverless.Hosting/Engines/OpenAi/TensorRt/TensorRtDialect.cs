using System.Globalization;
using Serverless.Catalog.Engines;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi.TensorRt;

/// <summary>
/// Engine <c>tensorrt-llm</c>: <c>trtllm-serve</c>. Its metrics are there where it was started to keep them (<c>return_perf_metrics</c>), and say of its KV cache which share is used, not how large it is. It
/// names no tokens; JSON and forced calls depend on how it was built, so they are refused. A chat begins again where it was cut off.
/// </summary>
internal sealed class TensorRtDialect : EngineDialect
{
    public override EngineDescriptor Descriptor { get; } = new()
    {
        Name = "tensorrt-llm",
        Params = [OpenAiParams.Server, OpenAiParams.Url, OpenAiParams.Slots(256), OpenAiParams.Args, OpenAiParams.ServedName, OpenAiParams.ApiKeyVariable, OpenAiParams.SilenceSeconds],
        HereWith = [OpenAiParams.Server.Name, OpenAiParams.Url.Name],
        Honours = [EngineFeature.Penalties, EngineFeature.RepetitionPenalty],
    };

    /// <summary>What is at <c>metrics</c> is its iterations as JSON.</summary>
    public override string MetricsPath => "prometheus/metrics";

    public override string MetricsHelp => "; start it with return_perf_metrics: true in its --config";

    public override bool TakesSeveralChoices => false;

    public override bool GoesOn(EndpointName endpoint) => endpoint == EndpointName.Completions;

    public override EngineLaunch Launch(EngineStart start)
    {
        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        return new EngineLaunch([start.Model, "--host", "127.0.0.1", "--port", Text(start.Port), "--max_batch_size", Text(start.Slots), "--max_seq_len", Text(start.ContextTokens)]);
    }

    public override EngineSample Read(PrometheusText metrics) => new((int?)metrics.Sum("trtllm_num_requests_running", "trtllm:num_requests_running"), (int?)metrics.Sum("trtllm_num_requests_waiting", "trtllm:num_requests_waiting"), null, null)
    {
        KvUsedShare = metrics.Max("trtllm_kv_cache_utilization", "trtllm:kv_cache_utilization"),
    };
}
