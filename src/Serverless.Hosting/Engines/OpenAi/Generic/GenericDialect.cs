using Serverless.Catalog.Engines;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi.Generic;

/// <summary>
/// Engine <c>openai</c>: whatever has OpenAI's chat completions at a URL, its models at <c>/v1/models</c>. Nothing beyond that is taken for granted: no metrics, no names of tokens, one choice in a call, no fields
/// that OpenAI does not have. A chat begins again where it was cut off.
/// </summary>
internal sealed class GenericDialect : EngineDialect
{
    public override EngineDescriptor Descriptor { get; } = new()
    {
        Name = "openai",
        Params = [OpenAiParams.Url, OpenAiParams.Slots(16), OpenAiParams.ServedName, OpenAiParams.ApiKeyVariable, OpenAiParams.SilenceSeconds],
        HereWith = [OpenAiParams.Url.Name],
        Honours = [EngineFeature.Penalties],
    };

    public override string HealthPath => "v1/models";

    public override string? MetricsPath => null;

    public override bool TakesSeveralChoices => false;

    public override bool GoesOn(EndpointName endpoint) => endpoint == EndpointName.Completions;

    public override IReadOnlyList<string> UnknownSampling => ["top_k", "min_p"];
}
