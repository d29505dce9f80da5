using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Inference.Sampling;
using Serverless.Requests;

namespace Serverless.Hosting.Tokens;

/// <summary>What an engine of ours reads of an OpenAI body, which admission has validated. Immutable.</summary>
public sealed record OpenAiBody
{
    private const int MaxDepth = 64;
    private const int MaxBiases = 1024;
    private const float MaxBias = 100;
    private const int MaxLogProbs = 20;

    /// <summary>The whole body.</summary>
    public required JsonElement Root { get; init; }

    /// <summary>What kind it is.</summary>
    public required EndpointName Endpoint { get; init; }

    /// <summary>How tokens are chosen.</summary>
    public required SamplingOptions Sampling { get; init; }

    /// <summary>Stop strings.</summary>
    public required IReadOnlyList<string> Stop { get; init; }

    /// <summary>Alternatives with each token; −1: no log-probabilities.</summary>
    public required int TopLogProbs { get; init; }

    /// <summary>Alternatives with each token of the prompt; −1: the prompt's log-probabilities are not asked for.</summary>
    public required int PromptLogProbs { get; init; }

    /// <summary>vLLM's <c>ignore_eos</c>.</summary>
    public required bool IgnoreEnd { get; init; }

    /// <summary>Reads a body, which must not change while this is used. Where it says nothing of how tokens are chosen the defaults of its model hold, then OpenAI's.</summary>
    /// <exception cref="JsonException">It is not JSON.</exception>
    /// <exception cref="ServingException">A field holds what no engine of ours can honour.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "The document reads from the body where it lies and lives as long as this; a copy of it would double the largest prompts.")]
    public static OpenAiBody Parse(EndpointName kind, ReadOnlyMemory<byte> body, SamplingDefaults? defaults = null) =>
        Read(kind, JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = MaxDepth }).RootElement, defaults);

    /// <summary>Reads a body that is parsed already.</summary>
    /// <exception cref="ServingException">A field holds what no engine of ours can honour.</exception>
    public static OpenAiBody Read(EndpointName kind, JsonElement root, SamplingDefaults? defaults = null)
    {
        if (root.ValueKind != JsonValueKind.Object) throw new JsonException("The body is no object.");

        defaults ??= SamplingDefaults.None;
        return new OpenAiBody
        {
            Root = root,
            Endpoint = kind,
            Sampling = new SamplingOptions
            {
                Temperature = Number(root, "temperature", defaults.Temperature ?? 1),
                TopP = Number(root, "top_p", defaults.TopP ?? 1),
                TopK = Math.Max(0, (int)Number(root, "top_k", defaults.TopK ?? 0)),
                MinP = Number(root, "min_p", defaults.MinP ?? 0),
                PresencePenalty = Number(root, "presence_penalty", defaults.PresencePenalty ?? 0),
                FrequencyPenalty = Number(root, "frequency_penalty", defaults.FrequencyPenalty ?? 0),
                TypicalP = Number(root, "typical_p", 1),
                RepetitionPenalty = Number(root, "repetition_penalty", 1),
                Dry = Dry(root),
                LogitBias = Bias(root),
            },
            Stop = Stops(root),
            TopLogProbs = LogProbs(root, kind),
            PromptLogProbs = kind == EndpointName.Completions && Field(root, "echo") is { ValueKind: JsonValueKind.True } ? LogProbs(root, kind) : -1,
            IgnoreEnd = Field(root, "ignore_eos") is { ValueKind: JsonValueKind.True },
        };
    }

    internal static JsonElement? Field(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static double Number(JsonElement root, string name, double fallback) =>
        Field(root, name) is { ValueKind: JsonValueKind.Number } value ? value.GetDouble() : fallback;

    private static DryOptions? Dry(JsonElement root)
    {
        if (Number(root, "dry_multiplier", 0) is not (> 0 and var multiplier)) return null;

        var dry = new DryOptions { Multiplier = multiplier };
        return dry with
        {
            Base = Number(root, "dry_base", dry.Base),
            AllowedLength = (int)Number(root, "dry_allowed_length", dry.AllowedLength),
            LastTokens = (int)Number(root, "dry_penalty_last_n", dry.LastTokens),
            Breakers = Field(root, "dry_sequence_breakers") is { ValueKind: JsonValueKind.Array } breakers ? [.. breakers.EnumerateArray().Select(breaker => breaker.GetString() ?? "")] : dry.Breakers,
        };
    }

    private static List<string> Stops(JsonElement root) => Field(root, "stop") switch
    {
        { ValueKind: JsonValueKind.String } one => one.GetString() is { Length: > 0 } text ? [text] : [],
        { ValueKind: JsonValueKind.Array } many => [.. many.EnumerateArray().Select(stop => stop.GetString() ?? "").Where(stop => stop.Length > 0)],
        _ => [],
    };

    private static Dictionary<int, float> Bias(JsonElement root)
    {
        var bias = new Dictionary<int, float>();
        if (Field(root, "logit_bias") is not { ValueKind: JsonValueKind.Object } map) return bias;

        foreach (var entry in map.EnumerateObject())
        {
            if (!int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var token)) throw Refused($"names '{(entry.Name.Length <= 40 ? entry.Name : entry.Name[..40] + "…")}', which is no token; its keys are tokens of the vocabulary");
            if (entry.Value.ValueKind != JsonValueKind.Number || Math.Abs(entry.Value.GetDouble()) > MaxBias) throw Refused($"of token {token} must be a number from -{MaxBias} to {MaxBias}");
            if (bias.Count == MaxBiases) throw Refused($"names more than {MaxBiases} tokens, the limit");
            bias[token] = (float)entry.Value.GetDouble();
        }

        return bias;
    }

    private static int LogProbs(JsonElement root, EndpointName kind)
    {
        if (Field(root, "logprobs") is not { } asked) return -1;
        if (kind == EndpointName.Completions) return asked.ValueKind == JsonValueKind.Number ? Most(asked.GetDouble()) : -1;
        return asked.ValueKind == JsonValueKind.True ? Most(Number(root, "top_logprobs", 0)) : -1;
    }

    private static int Most(double asked) => (int)Math.Clamp(asked, 0, MaxLogProbs);

    private static ServingException Refused(string why) => new(new ServingFault(ServingError.InvalidRequest, $"'logit_bias' {why}.", "logit_bias"));
}
