using System.Collections.Frozen;
using System.Text.Json;

namespace Serverless.Catalog.Engines;

/// <summary>What a request may ask of an engine beyond plain sampled text. It travels by its name (<see cref="EngineFeatures"/>), which is never changed.</summary>
public enum EngineFeature
{
    /// <summary>Output held to JSON.</summary>
    JsonOutput,

    /// <summary>Forced tool calls.</summary>
    ForcedToolCall,

    /// <summary>Tool calls held to one at a time.</summary>
    SingleToolCalls,

    /// <summary>Tool arguments held to a schema.</summary>
    StrictTools,

    /// <summary>Tools other than functions.</summary>
    CustomTools,

    /// <summary>The deprecated 'functions'.</summary>
    Functions,

    /// <summary>Images.</summary>
    ImageInput,

    /// <summary>Audio.</summary>
    AudioInput,

    /// <summary>Files.</summary>
    FileInput,

    /// <summary>Audio output.</summary>
    AudioOutput,

    /// <summary>Web search.</summary>
    WebSearch,

    /// <summary>Moderation.</summary>
    Moderation,

    /// <summary>Stored completions.</summary>
    StoredCompletion,

    /// <summary>An effort of reasoning.</summary>
    ReasoningEffort,

    /// <summary>A verbosity.</summary>
    Verbosity,

    /// <summary>Obfuscated streams.</summary>
    Obfuscation,

    /// <summary>A logit bias.</summary>
    LogitBias,

    /// <summary>Presence and frequency penalties.</summary>
    Penalties,

    /// <summary>A repetition penalty.</summary>
    RepetitionPenalty,

    /// <summary>Typical sampling.</summary>
    TypicalSampling,

    /// <summary>The DRY penalty of what would go on a repetition.</summary>
    DryPenalty,

    /// <summary>The best of more choices than it returns.</summary>
    BestOf,

    /// <summary>Text after the gap.</summary>
    Suffix,

    /// <summary>The echo of a prompt given as tokens.</summary>
    EchoOfTokens,

    /// <summary>Log-probabilities of the prompt.</summary>
    EchoWithLogProbs,

    /// <summary>Another chat template or another way to end the prompt.</summary>
    OtherTemplate,

    /// <summary>This setting of other engines.</summary>
    SamplingOfEngines,

    /// <summary>Output held to a grammar.</summary>
    GuidedOutput,

    /// <summary>What only an operator sets.</summary>
    OperatorsFields,
}

/// <summary>Names of features.</summary>
public static class EngineFeatures
{
    private static readonly FrozenDictionary<EngineFeature, string> Names = Enum.GetValues<EngineFeature>().ToFrozenDictionary(feature => feature, feature => JsonNamingPolicy.SnakeCaseLower.ConvertName(feature.ToString()));

    /// <summary>As it is written.</summary>
    public static string Name(this EngineFeature feature) => Names[feature];

    /// <summary>The names of those, each once, in order.</summary>
    public static IReadOnlyList<string> NamesOf(IEnumerable<EngineFeature> features) => [.. features.Select(Name).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
}
