using System.Globalization;
using Serverless.Catalog.Engines;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi.Ollama;

/// <summary>
/// Engine <c>ollama</c>, through its OpenAI API: <c>ollama serve</c>, which has the model already (<c>ollama pull</c>). It has no metrics, so that its load is what the worker counts; it names no tokens and takes
/// no several choices in a call, no <c>top_k</c> and no <c>min_p</c>. A completion goes through the model's template, too, so that everything begins again where it was cut off.
/// </summary>
internal sealed class OllamaDialect : EngineDialect
{
    public override EngineDescriptor Descriptor { get; } = new()
    {
        Name = "ollama",
        Params = [OpenAiParams.Server, OpenAiParams.Url, OpenAiParams.Slots(4), OpenAiParams.Args, OpenAiParams.ServedName, OpenAiParams.ApiKeyVariable, OpenAiParams.SilenceSeconds],
        HereWith = [OpenAiParams.Server.Name, OpenAiParams.Url.Name],
        Honours = [EngineFeature.JsonOutput, EngineFeature.Penalties],
    };

    public override string HealthPath => "api/version";

    public override string? MetricsPath => null;

    public override bool TakesSeveralChoices => false;

    public override bool ClipsOutput => true;

    public override bool GoesOn(EndpointName endpoint) => false;

    public override EngineLaunch Launch(EngineStart start)
    {
        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        return new EngineLaunch("serve")
        {
            Environment = new Dictionary<string, string> { ["OLLAMA_HOST"] = $"127.0.0.1:{Text(start.Port)}", ["OLLAMA_NUM_PARALLEL"] = Text(start.Slots), ["OLLAMA_CONTEXT_LENGTH"] = Text(start.ContextTokens) },
        };
    }

    public override IReadOnlyList<string> UnknownSampling => ["top_k", "min_p"];
}
