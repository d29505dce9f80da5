using System.Collections.Frozen;
using Serverless.Catalog;
using Serverless.Errors;

namespace Serverless.Gateway.Admission;

/// <summary>
/// Which features a model's engine honours: the one place that decides. What an engine would silently ignore, so that the answer would not be what was asked for, is
/// refused; hints that change no promise (<c>prediction</c>, <c>verbosity</c>, <c>parallel_tool_calls</c>) are forwarded and not listed.
/// </summary>
internal static class Capabilities
{
    private static readonly FrozenDictionary<Feature, string> Refusals = new Dictionary<Feature, string>
    {
        [Feature.JsonOutput] = "output held to JSON; use the type 'text' and ask for JSON in the prompt",
        [Feature.ForcedToolCall] = "forced tool calls; use 'auto' or 'none'",
        [Feature.StrictTools] = "tool arguments held to a schema; leave 'strict' out",
        [Feature.CustomTools] = "tools other than functions",
        [Feature.Functions] = "the deprecated 'functions'; use 'tools'",
        [Feature.ImageInput] = "images; send text",
        [Feature.AudioInput] = "audio; send text",
        [Feature.FileInput] = "files; send their text",
        [Feature.AudioOutput] = "audio output; ask for text",
        [Feature.WebSearch] = "web search; leave it out",
        [Feature.StoredCompletion] = "stored completions; leave 'store' out or false",
        [Feature.LogitBias] = "a logit bias; leave it out",
        [Feature.Penalties] = "presence and frequency penalties; leave them out or 0",
        [Feature.BestOf] = "the best of more choices than it returns; use 'n' alone",
        [Feature.Suffix] = "text after the gap; leave 'suffix' out",
        [Feature.EchoOfTokens] = "the echo of a prompt given as tokens; send it as text",
        [Feature.EchoWithLogProbs] = "log-probabilities of the prompt; use 'echo' or 'logprobs' alone",
    }.ToFrozenDictionary();

    /// <summary>Why the model cannot do what was asked, or null if it can.</summary>
    public static ServingFault? Check(Model model, ReadOnlySpan<byte> body, IReadOnlyList<(Feature Feature, int Offset)> asked)
    {
        foreach (var (feature, offset) in asked)
        {
            if (Honours(model.Backend, feature)) continue;

            var path = JsonPath.At(body, offset);
            return new ServingFault(
                ServingError.InvalidRequest, $"'{path}' asks for what the model '{model.Name}' does not support yet: {Refusals[feature]}.", path, "unsupported_value");
        }

        return null;
    }

    /// <summary>No engine so far honours any of them; an engine that does gets its line here.</summary>
    private static bool Honours(string backend, Feature feature) => backend switch
    {
        _ => !Refusals.ContainsKey(feature),
    };
}
