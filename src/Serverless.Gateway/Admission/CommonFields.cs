using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;
using Serverless.Catalog.Engines;

namespace Serverless.Gateway.Admission;

/// <summary>Fields that chat and completions share, and those of engines: each is honoured, is a hint, or asks for a <see cref="EngineFeature"/>. <c>docs/api.md</c> lists them; a test compares.</summary>
internal static class CommonFields
{
    private const int MaxChoicesPerPrompt = 128;
    private const int MaxStops = 4;
    private const int LongestStop = 1024;
    private const int MaxMetadataPairs = 16;
    private const int LongestName = 64;

    private static readonly (string Name, FieldReader Read)[] Shared =
    [
        ("model", (ref json, body) => body.Model = json.Text(256) is { Length: > 0 } model ? model : throw json.Wrong("must be the name of a model")),
        ("stream", (ref json, body) => body.Stream = json.Boolean() ?? false),
        ("stream_options", ReadStreamOptions),
        ("n", (ref json, body) => body.ChoicesPerPrompt = (int)(json.Integer(1, MaxChoicesPerPrompt) ?? 1)),
        ("max_tokens", (ref json, body) => body.MaxTokens = json.Integer(1, long.MaxValue)),
        ("temperature", (ref json, body) => json.Number(0, 2)),
        ("top_p", (ref json, body) => json.Number(0, 1)),
        ("top_k", (ref json, body) => json.Integer(-1, int.MaxValue)),
        ("min_p", (ref json, body) => json.Number(0, 1)),
        ("presence_penalty", ReadPenalty),
        ("frequency_penalty", ReadPenalty),
        ("logit_bias", ReadLogitBias),
        ("seed", (ref json, body) => body.Seed = json.Integer(long.MinValue, long.MaxValue)),
        ("stop", ReadStop),
        ("ignore_eos", (ref json, body) => json.Boolean()),
        ("service_tier", (ref json, body) => body.ServiceTier = json.OneOf("auto", "default", "flex", "scale", "priority", "fast")),
        ("user", (ref json, body) => json.IsText()),
        ("safety_identifier", (ref json, body) => json.IsText(LongestName)),
        ("prompt_cache_key", (ref json, body) => json.IsText()),
        ("metadata", ReadMetadata),
    ];

    /// <summary>What engines take beyond OpenAI's fields and ours do not: passed over they would give another answer than was asked for.</summary>
    private static readonly (string Name, FieldReader Read)[] OfEngines =
    [
        .. FieldReaders.Neutral(EngineFeature.SamplingOfEngines, 1, "length_penalty", "skip_special_tokens", "spaces_between_special_tokens"),
        .. FieldReaders.Neutral(
            EngineFeature.SamplingOfEngines, 0, "min_tokens", "use_beam_search", "stop_token_ids", "include_stop_str_in_output", "allowed_token_ids", "bad_words", "prompt_logprobs", "mirostat", "logits_processors", "truncate_prompt_tokens"),
        .. FieldReaders.Neutral(EngineFeature.GuidedOutput, 0, "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar", "json_schema"),
        .. FieldReaders.Neutral(EngineFeature.OperatorsFields, 0, "priority", "cache_salt", "kv_transfer_params"),
    ];

    /// <summary>The fields of an endpoint, by name.</summary>
    public static FrozenDictionary<string, FieldReader> With(params ReadOnlySpan<(string Name, FieldReader Read)> own)
    {
        var all = new Dictionary<string, FieldReader>(StringComparer.Ordinal);
        foreach (var (name, read) in (ReadOnlySpan<(string, FieldReader)>)[.. Shared, .. SamplingFields.All, .. OfEngines, .. own]) all.Add(name, read);
        return all.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>Reads a whole body, field by field. One that is not known is an engine's own: it goes down with the bytes, unread.</summary>
    public static void Read(ref JsonFields json, ParsedBody body, FrozenDictionary<string, FieldReader> fields)
    {
        var known = fields.GetAlternateLookup<ReadOnlySpan<char>>();
        var seen = new SeenNames();
        Span<char> name = stackalloc char[32];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            if (known.TryGetValue(name[..length], out var read)) read(ref json, body);
            else json.Skip();
        }

        json.Close();
        body.Padding = json.Padding;
        if (body.Model is null) throw json.Missing(0, "model");
        if (body.StreamOptionsAt is { } at && !body.Stream) throw json.Empty(at, "is given without 'stream': true; leave it out or stream");
    }

    /// <summary>At most 16 pairs of short strings.</summary>
    private static void ReadMetadata(ref JsonFields json, ParsedBody body)
    {
        if (!json.IsObject()) return;

        var seen = new SeenNames();
        Span<char> name = stackalloc char[LongestName * 6];
        for (var pairs = 1; json.NextField(ref seen, name) is var length and >= 0; pairs++)
        {
            if (pairs > MaxMetadataPairs) throw json.Wrong($"comes after {MaxMetadataPairs} other pairs of metadata, the limit: it must be left out");
            if (length is 0 or > LongestName) throw json.Wrong($"must have a name of 1 to {LongestName} characters");
            if (!json.IsText(512)) throw json.Wrong("must be a string");
        }
    }

    private static void ReadStreamOptions(ref JsonFields json, ParsedBody body)
    {
        var offset = json.Offset;
        if (!json.IsObject()) return;

        body.StreamOptionsAt = offset;
        var seen = new SeenNames();
        Span<char> name = stackalloc char[32];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            switch (name[..length])
            {
                case "include_usage": body.IncludeUsage = json.Boolean() ?? false; break;
                case "include_obfuscation": body.Ask(EngineFeature.Obfuscation, json.Offset, json.Boolean() ?? false); break;
                default: json.Skip(); break;
            }
        }
    }

    private static void ReadStop(ref JsonFields json, ParsedBody body)
    {
        if (json.Token is JsonTokenType.Null) return;
        if (json.Token is not JsonTokenType.StartArray)
        {
            RequireStop(ref json);
            return;
        }

        for (var count = 1; json.NextElement(); count++)
        {
            if (count > MaxStops) throw json.Wrong($"comes after {MaxStops} others, the limit: it must be left out");
            RequireStop(ref json);
        }
    }

    private static void RequireStop(ref JsonFields json)
    {
        if (json.Token is not JsonTokenType.String) throw json.Wrong("must be a string");
        if (json.End - json.Offset <= 2) throw json.Wrong("is empty: it must have a character");
        if (json.End - json.Offset - 2 > LongestStop) throw json.Wrong($"has {json.End - json.Offset - 2} bytes; at most {LongestStop} are allowed"); // what may become one is held back, and logged with each token
    }

    private static void ReadPenalty(ref JsonFields json, ParsedBody body) => body.Ask(EngineFeature.Penalties, json.Offset, json.Number(-2, 2) is not (null or 0));

    private static void ReadLogitBias(ref JsonFields json, ParsedBody body)
    {
        var offset = json.Offset;
        if (!json.IsObject()) return;

        var seen = new SeenNames();
        Span<char> name = stackalloc char[20];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            if (!int.TryParse(name[..length], NumberStyles.None, CultureInfo.InvariantCulture, out _)) throw json.Wrong("must be named by a token id");
            if (json.Number(-100, 100) is null) throw json.Wrong("must be a number from -100 to 100");
            if (body.Asked is not [.., (EngineFeature.LogitBias, _)]) body.Ask(EngineFeature.LogitBias, offset);
        }
    }
}

/// <summary>Reads a field's value, the reader standing on it.</summary>
internal delegate void FieldReader(ref JsonFields json, ParsedBody body);

/// <summary>Fields that ask for something by being there.</summary>
internal static class FieldReaders
{
    /// <summary>An object of any content asks for the feature.</summary>
    public static void Object(EngineFeature feature, ref JsonFields json, ParsedBody body)
    {
        body.Ask(feature, json.Offset, json.IsObject());
        json.Skip();
    }

    /// <summary>Any value asks for the feature but null, an empty list, and what the engines take for their default: that number, or true for 1 and false for 0.</summary>
    public static IEnumerable<(string Name, FieldReader Read)> Neutral(EngineFeature feature, double neutral, params string[] names) =>
        names.Select(name => (name, (FieldReader)((ref json, body) => ReadNeutral(feature, neutral, ref json, body))));

    private static void ReadNeutral(EngineFeature feature, double neutral, ref JsonFields json, ParsedBody body)
    {
        var offset = json.Offset;
        var asks = json.Token switch
        {
            JsonTokenType.Null => false,
            JsonTokenType.True => neutral != 1,
            JsonTokenType.False => neutral != 0,
            JsonTokenType.Number => json.Number(double.MinValue, double.MaxValue) != neutral,
            _ => true,
        };
        if (json.Token == JsonTokenType.StartArray)
        {
            asks = false;
            while (json.NextElement())
            {
                asks = true;
                json.Skip();
            }
        }
        else
        {
            json.Skip();
        }

        body.Ask(feature, offset, asks);
    }
}
