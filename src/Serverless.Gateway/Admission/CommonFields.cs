using System.Globalization;
using System.Text.Json;

namespace Serverless.Gateway.Admission;

/// <summary>Fields that chat and completions share.</summary>
internal static class CommonFields
{
    private const int MaxChoicesPerPrompt = 128;
    private const int MaxStops = 4;
    private const int MaxMetadataPairs = 16;
    private const int LongestName = 64;

    /// <summary>Reads the value of a field that only some bodies have; false if it is not one of them.</summary>
    public delegate bool OwnFields(scoped ReadOnlySpan<char> name, ref JsonFields json, ParsedBody body);

    /// <summary>Reads a whole body, field by field.</summary>
    public static void Read(ref JsonFields json, ParsedBody body, ReadOnlySpan<byte> bytes, OwnFields tryReadOwn)
    {
        var seen = new SeenNames();
        Span<char> name = stackalloc char[32];
        while (json.NextField(ref seen, name) is var length and >= 0)
        {
            var field = name[..length];
            if (!tryReadOwn(field, ref json, body) && !TryRead(field, ref json, body)) json.Skip();
        }

        json.Close();
        Complete(ref json, body, bytes);
    }

    /// <summary>Reads the value of the field; false if it is not a shared one.</summary>
    private static bool TryRead(scoped ReadOnlySpan<char> name, ref JsonFields json, ParsedBody body)
    {
        switch (name)
        {
            case "model": body.Model = json.Text(256) is { Length: > 0 } model ? model : throw json.Wrong("must be the name of a model"); break;
            case "stream": body.Stream = json.Boolean() ?? false; break;
            case "stream_options": ReadStreamOptions(ref json, body); break;
            case "n": body.ChoicesPerPrompt = (int)(json.Integer(1, MaxChoicesPerPrompt) ?? 1); break;
            case "max_tokens": body.MaxTokens = json.Integer(1, long.MaxValue); break;
            case "temperature": json.Number(0, 2); break;
            case "top_p": json.Number(0, 1); break;
            case "top_k": json.Integer(-1, int.MaxValue); break;
            case "min_p": json.Number(0, 1); break;
            case "presence_penalty" or "frequency_penalty": Ask(Feature.Penalties, json.Number(-2, 2) is not (null or 0), ref json, body); break;
            case "seed": body.Seed = json.Integer(long.MinValue, long.MaxValue); break;
            case "stop": ReadStop(ref json); break;
            case "logit_bias": ReadLogitBias(ref json, body); break;
            case "user" or "prompt_cache_key": json.IsText(); break;
            case "metadata": ReadMetadata(ref json); break;
            case "service_tier": body.ServiceTier = json.OneOf("auto", "default", "flex", "scale", "priority", "fast"); break;
            default: return false;
        }

        return true;
    }

    /// <summary>What must hold between fields, once all are read.</summary>
    private static void Complete(ref JsonFields json, ParsedBody body, ReadOnlySpan<byte> bytes)
    {
        if (body.Model is null) throw json.Missing(0, "model");
        if (body.StreamOptionsAt is { } at && !body.Stream)
        {
            throw BodyFault.At(bytes, at, "is given without 'stream': true; leave it out or stream");
        }
    }

    /// <summary>Notes a feature the request depends on.</summary>
    public static void Ask(Feature feature, bool asked, ref JsonFields json, ParsedBody body)
    {
        if (asked) body.Asked.Add((feature, json.Offset));
    }

    /// <summary>Notes a feature that is asked for by an object of any content.</summary>
    public static void AskObject(Feature feature, ref JsonFields json, ParsedBody body)
    {
        Ask(feature, json.IsObject(), ref json, body);
        json.Skip();
    }

    /// <summary>At most 16 pairs of short strings.</summary>
    private static void ReadMetadata(ref JsonFields json)
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
                case "include_obfuscation": json.Boolean(); break;
                default: json.Skip(); break;
            }
        }
    }

    private static void ReadStop(ref JsonFields json)
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
    }

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
            if (body.Asked is not [.., (Feature.LogitBias, _)]) body.Asked.Add((Feature.LogitBias, offset));
        }
    }
}
