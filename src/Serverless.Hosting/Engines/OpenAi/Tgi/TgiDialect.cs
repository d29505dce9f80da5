using System.Globalization;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi.Tgi;

/// <summary>
/// Engine <c>tgi</c>: Hugging Face's <c>text-generation-launcher</c>. It names no tokens and says nothing of its KV cache; it takes no several choices in a call, no <c>top_k</c> and no <c>min_p</c>, and
/// JSON, forced calls, penalties and biases only in its own ways, so they are refused. A chat begins again where it was cut off.
/// </summary>
internal sealed class TgiDialect : EngineDialect
{
    public override EngineDescriptor Descriptor { get; } = new()
    {
        Name = "tgi",
        Params = [OpenAiParams.Server, OpenAiParams.Url, OpenAiParams.Slots(128), OpenAiParams.Args, OpenAiParams.ServedName, OpenAiParams.ApiKeyVariable, OpenAiParams.SilenceSeconds],
        HereWith = [OpenAiParams.Server.Name, OpenAiParams.Url.Name],
    };

    public override bool TakesSeveralChoices => false;

    public override bool GoesOn(EndpointName endpoint) => endpoint == EndpointName.Completions;

    public override EngineLaunch Launch(EngineStart start)
    {
        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        return new EngineLaunch(
        [
            "--model-id", start.Model, "--hostname", "127.0.0.1", "--port", Text(start.Port), "--max-concurrent-requests", Text(start.Slots), "--max-total-tokens", Text(start.ContextTokens),
            .. start.Revision is { } revision ? ["--revision", revision] : Array.Empty<string>(),
        ]);
    }

    /// <summary>Its own description says how much it takes; older releases also say how much it holds.</summary>
    public override async Task<EngineFacts> MeetAsync(EngineQuestions ask, Pool pool, int slots, EngineSample? sample, CancellationToken cancellationToken)
    {
        var served = await ServedModel.FindAsync(ask, this, pool, cancellationToken);
        var info = await ask.JsonAsync("info", cancellationToken);
        var context = info.Get("max_total_tokens")?.Int();
        var most = Math.Min(slots, info.Get("max_concurrent_requests")?.Int() ?? slots);
        return new EngineFacts(most, info.Get("max_batch_total_tokens")?.Int() ?? (long)most * (context ?? pool.Model.ContextTokens), served.Name, context);
    }

    public override IReadOnlyList<string> UnknownSampling => ["top_k", "min_p"];

    /// <summary>It refuses a <c>top_p</c> that chooses nothing.</summary>
    public override double? SamplingOf(string field, double value) => field == "top_p" && value >= 1 ? null : value;

    public override EngineSample Read(PrometheusText metrics) => new((int?)metrics.Sum("tgi_batch_current_size"), (int?)metrics.Sum("tgi_queue_size"), null, null)
    {
        PromptTokens = metrics.Sum("tgi_request_input_length_sum"),
        GeneratedTokens = metrics.Sum("tgi_request_generated_tokens_sum"),
    };
}
