using System.Text.Json;
using Serverless.Catalog;
using Serverless.Catalog.Engines;
using Serverless.Requests;

namespace Serverless.Hosting.Engines.OpenAi;

/// <summary>What an engine with OpenAI's API does in its own way. One for each kind of engine, in a folder of its own; everything that is not said here is the same for all. Immutable.</summary>
internal abstract class EngineDialect
{
    /// <summary>Seconds of eight years and a half.</summary>
    private const int DeadlineBits = 28;

    /// <summary>The beginning of 2026.</summary>
    private const long FirstDeadline = 1_767_225_600;

    /// <summary>What is to be known of it.</summary>
    public abstract EngineDescriptor Descriptor { get; }

    /// <summary>Its name in manifests.</summary>
    public string Name => Descriptor.Name;

    /// <summary>Where it says that it serves: 200 once it does.</summary>
    public virtual string HealthPath => "health";

    /// <summary>Where its metrics are; null: it has none.</summary>
    public virtual string? MetricsPath => "metrics";

    /// <summary>What helps where its metrics are not there, as the rest of a sentence.</summary>
    public virtual string MetricsHelp => "";

    /// <summary>Whether one call may ask for several choices.</summary>
    public virtual bool TakesSeveralChoices => true;

    /// <summary>Whether the usage that it sends along with output is of the choice alone that the output is of.</summary>
    public virtual bool CountsEachChoice => false;

    /// <summary>Whether it ends an answer where its context does; else it refuses to be asked for more than that leaves.</summary>
    public virtual bool ClipsOutput => false;

    /// <summary>Whether it goes on from what was said before; else it begins again, and what it says must be the same.</summary>
    public virtual bool GoesOn(EndpointName endpoint) => true;

    /// <summary>How one is started as a child. Pure.</summary>
    public virtual EngineLaunch Launch(EngineStart start) => throw new NotSupportedException($"'{Name}' is not started here.");

    /// <summary>What it says of itself once it serves.</summary>
    /// <param name="ask">It.</param>
    /// <param name="pool">Whose replica it is to be.</param>
    /// <param name="slots">Requests at once, as its flavor says.</param>
    /// <param name="sample">What its metrics say; null: they are not there.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="HttpRequestException">It does not say it.</exception>
    /// <exception cref="JsonException">It says something else.</exception>
    /// <exception cref="Serverless.Engines.EngineLoadException">It is not what the pool needs.</exception>
    public virtual async Task<EngineFacts> MeetAsync(EngineQuestions ask, Pool pool, int slots, EngineSample? sample, CancellationToken cancellationToken)
    {
        var served = await ServedModel.FindAsync(ask, this, pool, cancellationToken);
        var context = served.ContextTokens ?? pool.Model.ContextTokens;
        return new EngineFacts(slots, sample?.KvCapacityTokens ?? (long)slots * context, served.Name, served.ContextTokens);
    }

    /// <summary>What it calls a field of the client's body.</summary>
    public virtual string NameOf(string field) => field;

    /// <summary>The fields that say how tokens are chosen and that it does not know: they are left out.</summary>
    public virtual IReadOnlyList<string> UnknownSampling => [];

    /// <summary>A field that says how tokens are chosen, its value the client's or a default; null: it is left out.</summary>
    public virtual double? SamplingOf(string field, double value) => value;

    /// <summary>Writes that field, if it is to be told.</summary>
    public void WriteSampling(Utf8JsonWriter json, string field, double value)
    {
        if (!UnknownSampling.Contains(field, StringComparer.Ordinal) && SamplingOf(field, value) is { } told) json.WriteNumber(field, told);
    }

    /// <summary>Of a chat that goes on from its final message: how it is told so. llama-server goes on in any case, and repeats the message where it is not told.</summary>
    public virtual void WriteContinue(Utf8JsonWriter json)
    {
        json.WriteBoolean("continue_final_message", true);
        json.WriteBoolean("add_generation_prompt", false);
    }

    /// <summary>What else it is to be told.</summary>
    /// <param name="json">To write to.</param>
    /// <param name="request">The request.</param>
    /// <param name="byDeadline">Whether it takes what waits in it by the priority that it is told.</param>
    public virtual void WriteMore(Utf8JsonWriter json, InferenceRequest request, bool byDeadline)
    {
    }

    /// <summary>What the stream's options say beyond the usage at the end.</summary>
    public virtual void WriteStreamOptions(Utf8JsonWriter json)
    {
    }

    /// <summary>Its finish reasons in OpenAI's words, beyond which clients know none; null: it did not end, but was cut off, and is to be gone on with elsewhere.</summary>
    public virtual FinishReason? FinishOf(string reason) => reason switch
    {
        "length" or "max_tokens" => FinishReason.Length,
        "tool_calls" or "function_call" => FinishReason.ToolCalls,
        "content_filter" => new FinishReason(reason),
        "abort" or "aborted" or "cancelled" or "error" or "timeout" or "load" or "unload" => null,
        _ => FinishReason.Stop, // eos_token, stop_sequence, matched, repetition, …
    };

    /// <summary>The lane, then the deadline, as a number of which the lower comes first.</summary>
    protected static int PriorityOf(InferenceRequest request) =>
        ((int)request.Lane << DeadlineBits) + (int)Math.Clamp(request.Deadline.ToUnixTimeSeconds() - FirstDeadline, 0, (1L << DeadlineBits) - 1);

    /// <summary>What its metrics say of it; what they do not say is null.</summary>
    public virtual EngineSample Read(PrometheusText metrics) => default;
}

/// <summary>What a child is started for.</summary>
/// <param name="Program">The program, as the flavor names it.</param>
/// <param name="Model">What it is to load: a path, or the name that a hub has for it.</param>
/// <param name="Revision">Of that, at the hub; null: it says none.</param>
/// <param name="ServedName">What it is to call the model.</param>
/// <param name="Port">Where it is to listen, on loopback.</param>
/// <param name="Slots">Requests at once.</param>
/// <param name="ContextTokens">Of each.</param>
/// <param name="Threads">Threads; 0: it decides.</param>
/// <param name="ByDeadline">Whether what waits in it is taken by the priority that it is told.</param>
internal sealed record EngineStart(string Program, string Model, string? Revision, string ServedName, int Port, int Slots, int ContextTokens, int Threads, bool ByDeadline);

/// <summary>How a child is started.</summary>
/// <param name="Arguments">Its command line, before what the flavor adds.</param>
internal sealed record EngineLaunch(params IReadOnlyList<string> Arguments)
{
    /// <summary>What its environment has beyond the worker's.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();
}

/// <summary>What an engine is, once it serves.</summary>
/// <param name="Slots">Sequences at once.</param>
/// <param name="KvTokens">Tokens of its KV cache.</param>
/// <param name="ServedName">What it calls the model.</param>
/// <param name="ContextTokens">Of a sequence; null: it does not say.</param>
internal sealed record EngineFacts(int Slots, long KvTokens, string ServedName, int? ContextTokens);

/// <summary>How a replica's engine is spoken to. Immutable.</summary>
/// <param name="Dialect">Its.</param>
/// <param name="ServedName">What it calls the model.</param>
/// <param name="Sampling">How tokens are chosen where the request says nothing; what this does not say either is as OpenAI has it, not as the engine has.</param>
/// <param name="ByDeadline">Whether it takes what waits in it by the priority that it is told.</param>
internal sealed record EngineManner(EngineDialect Dialect, string ServedName, SamplingDefaults Sampling, bool ByDeadline);

/// <summary>What an engine says of its load.</summary>
/// <param name="Running">Requests that it works on; null: it does not say.</param>
/// <param name="Waiting">Requests that wait in it for want of room; null likewise.</param>
/// <param name="KvUsedTokens">Tokens in its KV cache.</param>
/// <param name="KvCapacityTokens">Tokens that its KV cache holds.</param>
internal readonly record struct EngineSample(int? Running, int? Waiting, long? KvUsedTokens, long? KvCapacityTokens)
{
    /// <summary>The share of its KV cache that is used, of an engine that does not say how large it is.</summary>
    public double? KvUsedShare { get; init; }

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
