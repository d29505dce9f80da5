using System.Text.Json;
using Serverless.Catalog.Engines;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>What an engine with OpenAI's API does in its own way. One for each kind of engine, in a folder of its own; everything that is not said here is the same for all.</summary>
internal abstract class EngineDialect
{
    /// <summary>Its name in manifests.</summary>
    public abstract string Name { get; }

    /// <summary>What it honours beyond plain sampled text.</summary>
    public virtual IReadOnlyList<EngineFeature> Honours => [];

    /// <summary>Where it says that it serves: 200 once it does.</summary>
    public virtual string HealthPath => "/health";

    /// <summary>Where its metrics are.</summary>
    public virtual string MetricsPath => "/metrics";

    /// <summary>Whether one call may ask for several choices.</summary>
    public virtual bool TakesSeveralChoices => true;

    /// <summary>What it calls a field of the client's body.</summary>
    public virtual string NameOf(string field) => field;

    /// <summary>Of a chat that goes on from its final message: how it is told so. llama-server goes on in any case, and repeats the message where it is not told.</summary>
    public virtual void WriteContinue(Utf8JsonWriter json)
    {
        json.WriteBoolean("continue_final_message", true);
        json.WriteBoolean("add_generation_prompt", false);
    }

    /// <summary>What else it is to be told.</summary>
    public virtual void WriteMore(Utf8JsonWriter json, InferenceRequest request)
    {
    }

    /// <summary>Its finish reasons in OpenAI's words; null: it did not end, but was cut off, and is to be gone on with elsewhere.</summary>
    public virtual FinishReason? FinishOf(string reason) => reason switch
    {
        "stop" or "eos" or "eos_token" or "stop_sequence" or "stop_token" => FinishReason.Stop,
        "length" or "max_tokens" => FinishReason.Length,
        "tool_calls" or "function_call" => FinishReason.ToolCalls,
        "abort" or "aborted" or "cancelled" or "error" => null,
        _ => new FinishReason(reason),
    };

    /// <summary>What its metrics say of it; what they do not say is null.</summary>
    public abstract EngineSample Read(PrometheusText metrics);
}

/// <summary>What an engine says of its load.</summary>
/// <param name="Running">Requests that it works on; null: it does not say.</param>
/// <param name="Waiting">Requests that wait in it for want of room; null likewise.</param>
/// <param name="KvUsedTokens">Tokens in its KV cache.</param>
/// <param name="KvCapacityTokens">Tokens that its KV cache holds.</param>
internal readonly record struct EngineSample(int? Running, int? Waiting, long? KvUsedTokens, long? KvCapacityTokens)
{
    /// <summary>Prompt tokens that it has read, since it began.</summary>
    public double? PromptTokens { get; init; }

    /// <summary>Seconds that it took for those; null: it does not say, and all of the time between two looks is reckoned.</summary>
    public double? PromptSeconds { get; init; }

    /// <summary>Tokens that it has generated, since it began.</summary>
    public double? GeneratedTokens { get; init; }

    /// <summary>Prompt tokens that a prefix cache supplied, since it began.</summary>
    public double? CachedTokens { get; init; }

    /// <summary>Times that it has pushed a running request out for want of room, since it began.</summary>
    public double? Preemptions { get; init; }
}
