using System.Collections.Frozen;
using System.Globalization;
using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Gateway.Admission;

/// <summary>
/// Which features a model's engine honours, and how much a replica of it holds: the one place that knows. What an engine would silently ignore, so that the answer would not be what was
/// asked for, is refused; hints that change no promise (<c>prediction</c>, <c>user</c>, <c>prompt_cache_key</c>) are taken and are no feature.
/// </summary>
internal static class Capabilities
{
    private static readonly FrozenDictionary<Feature, string> Refusals = new Dictionary<Feature, string>
    {
        [Feature.JsonOutput] = "output held to JSON; use the type 'text' and ask for JSON in the prompt",
        [Feature.ForcedToolCall] = "forced tool calls; use 'auto' or 'none'",
        [Feature.SingleToolCalls] = "tool calls held to one at a time; leave it out",
        [Feature.StrictTools] = "tool arguments held to a schema; leave 'strict' out",
        [Feature.CustomTools] = "tools other than functions",
        [Feature.Functions] = "the deprecated 'functions'; use 'tools'",
        [Feature.ImageInput] = "images; send text",
        [Feature.AudioInput] = "audio; send text",
        [Feature.FileInput] = "files; send their text",
        [Feature.AudioOutput] = "audio output; ask for text",
        [Feature.WebSearch] = "web search; leave it out",
        [Feature.Moderation] = "moderation; leave it out",
        [Feature.StoredCompletion] = "stored completions; leave 'store' out or false",
        [Feature.ReasoningEffort] = "an effort of reasoning; leave it out, or set what its template knows in 'chat_template_kwargs'",
        [Feature.Verbosity] = "a verbosity; leave it out and ask for it in the prompt",
        [Feature.Obfuscation] = "obfuscated streams; leave it out or false",
        [Feature.LogitBias] = "a logit bias; leave it out",
        [Feature.Penalties] = "presence and frequency penalties; leave them out or 0",
        [Feature.BestOf] = "the best of more choices than it returns; use 'n' alone",
        [Feature.Suffix] = "text after the gap; leave 'suffix' out",
        [Feature.EchoOfTokens] = "the echo of a prompt given as tokens; send it as text",
        [Feature.EchoWithLogProbs] = "log-probabilities of the prompt; use 'echo' or 'logprobs' alone",
        [Feature.OtherTemplate] = "another chat template or another way to end the prompt; leave it out",
        [Feature.SamplingOfEngines] = "this setting of other engines; leave it out",
        [Feature.GuidedOutput] = "output held to a grammar; leave it out and ask for the form in the prompt",
        [Feature.OperatorsFields] = "what only an operator sets; leave it out",
    }.ToFrozenDictionary();

    /// <summary>An engine that is not here honours no feature, and what its replicas hold is not known.</summary>
    private static readonly FrozenDictionary<string, Backend> Backends = new Dictionary<string, Backend>
    {
        ["in-process"] = new(16 * 1024, [Feature.LogitBias, Feature.Penalties]),
        ["simulated"] = new(1 << 20, [Feature.LogitBias, Feature.Penalties]), // stands for any engine, draws nothing
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Why the model cannot do what was asked, or null if it can.</summary>
    public static ServingFault? Check(Model model, ReadOnlySpan<byte> body, IReadOnlyList<(Feature Feature, int Offset)> asked)
    {
        foreach (var (feature, offset) in asked)
        {
            if (Backends.TryGetValue(model.Backend, out var backend) && backend.Honours.Contains(feature)) continue;

            var path = JsonPath.At(body, offset);
            return new ServingFault(
                ServingError.InvalidRequest, $"'{path}' asks for what the model '{model.Name}' does not support yet: {Refusals[feature]}.", path, "unsupported_value");
        }

        return null;
    }

    /// <summary>Tokens that the largest replica of the model can hold in its KV cache; null: not known.</summary>
    public static long? LargestReplica(Model model)
    {
        if (!Backends.TryGetValue(model.Backend, out var backend)) return null;

        return model.Flavors.Max(flavor => flavor.Params.TryGetValue("kvTokens", out var given) && long.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out var tokens)
            ? tokens
            : backend.KvTokens);
    }

    /// <param name="KvTokens">What a replica holds where its flavor does not say.</param>
    /// <param name="Honours">Features beyond plain sampled text.</param>
    private sealed record Backend(long KvTokens, Feature[] Honours);
}

/// <summary>What a request may ask of an engine beyond plain sampled text.</summary>
internal enum Feature
{
    JsonOutput,
    ForcedToolCall,
    SingleToolCalls,
    StrictTools,
    CustomTools,
    Functions,
    ImageInput,
    AudioInput,
    FileInput,
    AudioOutput,
    WebSearch,
    Moderation,
    StoredCompletion,
    ReasoningEffort,
    Verbosity,
    Obfuscation,
    LogitBias,
    Penalties,
    BestOf,
    Suffix,
    EchoOfTokens,
    EchoWithLogProbs,
    OtherTemplate,
    SamplingOfEngines,
    GuidedOutput,
    OperatorsFields,
}
