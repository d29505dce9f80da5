using System.Collections.Frozen;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Errors;

namespace Serverless.Gateway.Admission;

/// <summary>
/// Whether a model's engine honours what was asked for, and how much a replica of it holds, as the engine says itself. What an engine would silently ignore, so that the answer would not be what was
/// asked for, is refused; hints that change no promise (<c>prediction</c>, <c>user</c>, <c>prompt_cache_key</c>) are taken and are no feature.
/// </summary>
internal static class Capabilities
{
    private static readonly FrozenDictionary<EngineFeature, string> Refusals = new Dictionary<EngineFeature, string>
    {
        [EngineFeature.JsonOutput] = "output held to JSON; use the type 'text' and ask for JSON in the prompt",
        [EngineFeature.ForcedToolCall] = "forced tool calls; use 'auto' or 'none'",
        [EngineFeature.SingleToolCalls] = "tool calls held to one at a time; leave it out",
        [EngineFeature.StrictTools] = "tool arguments held to a schema; leave 'strict' out",
        [EngineFeature.CustomTools] = "tools other than functions",
        [EngineFeature.Functions] = "the deprecated 'functions'; use 'tools'",
        [EngineFeature.ImageInput] = "images; send text",
        [EngineFeature.AudioInput] = "audio; send text",
        [EngineFeature.FileInput] = "files; send their text",
        [EngineFeature.AudioOutput] = "audio output; ask for text",
        [EngineFeature.WebSearch] = "web search; leave it out",
        [EngineFeature.Moderation] = "moderation; leave it out",
        [EngineFeature.StoredCompletion] = "stored completions; leave 'store' out or false",
        [EngineFeature.ReasoningEffort] = "an effort of reasoning; leave it out, or set what its template knows in 'chat_template_kwargs'",
        [EngineFeature.Verbosity] = "a verbosity; leave it out and ask for it in the prompt",
        [EngineFeature.Obfuscation] = "obfuscated streams; leave it out or false",
        [EngineFeature.LogitBias] = "a logit bias; leave it out",
        [EngineFeature.Penalties] = "presence and frequency penalties; leave them out or 0",
        [EngineFeature.RepetitionPenalty] = "a repetition penalty; leave it out or 1",
        [EngineFeature.TypicalSampling] = "typical sampling; leave it out or 1",
        [EngineFeature.DryPenalty] = "the DRY penalty; leave it out or 0",
        [EngineFeature.BestOf] = "the best of more choices than it returns; use 'n' alone",
        [EngineFeature.Suffix] = "text after the gap; leave 'suffix' out",
        [EngineFeature.EchoOfTokens] = "the echo of a prompt given as tokens; send it as text",
        [EngineFeature.EchoWithLogProbs] = "log-probabilities of the prompt; use 'echo' or 'logprobs' alone",
        [EngineFeature.OtherTemplate] = "another chat template or another way to end the prompt; leave it out",
        [EngineFeature.SamplingOfEngines] = "this setting of other engines; leave it out",
        [EngineFeature.GuidedOutput] = "output held to a grammar; leave it out and ask for the form in the prompt",
        [EngineFeature.OperatorsFields] = "what only an operator sets; leave it out",
    }.ToFrozenDictionary();

    /// <summary>Why the model cannot do what was asked, or null if it can.</summary>
    public static ServingFault? Check(EngineTable engines, Model model, ReadOnlySpan<byte> body, IReadOnlyList<(EngineFeature Feature, int Offset)> asked)
    {
        foreach (var (feature, offset) in asked)
        {
            if (engines.Of(model.Backend).Honours.Contains(feature)) continue;

            var path = JsonPath.At(body, offset);
            return new ServingFault(
                ServingError.InvalidRequest, $"'{path}' asks for what the model '{model.Name}' does not support yet: {Refusals[feature]}.", path, Code: "unsupported_value");
        }

        return null;
    }

    /// <summary>Tokens that the largest replica of the model can hold in its KV cache; null: not known.</summary>
    public static long? LargestReplica(EngineTable engines, Model model)
    {
        if (engines.Of(model.Backend).Params.FirstOrDefault(param => param.Name == FlavorParam.KvTokens) is not { } tokens) return null;

        return model.Flavors.Max(flavor => (long)tokens.ReadOrDefault(flavor.Params));
    }
}
