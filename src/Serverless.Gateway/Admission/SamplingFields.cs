using System.Text.Json;
using Serverless.Catalog.Engines;

namespace Serverless.Gateway.Admission;

/// <summary>Fields of sampling that open engines have and OpenAI has not, by the names that vLLM and llama.cpp gave them. At the value that changes nothing they ask for nothing.</summary>
internal static class SamplingFields
{
    private const int MaxBreakers = 16;
    private const int LongestBreaker = 64;
    private const int LongestAllowed = 1024;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<(string Name, FieldReader Read)> All { get; } =
    [
        ("repetition_penalty", (ref json, body) => body.Ask(EngineFeature.RepetitionPenalty, json.Offset, json.Number(0.01, 10) is not (null or 1))),
        ("typical_p", (ref json, body) => body.Ask(EngineFeature.TypicalSampling, json.Offset, json.Number(0, 1) is not (null or 1))),
        ("dry_multiplier", (ref json, body) => body.Ask(EngineFeature.DryPenalty, json.Offset, json.Number(0, 10) is not (null or 0))),
        ("dry_base", (ref json, body) => json.Number(1, 10)),
        ("dry_allowed_length", (ref json, body) => json.Integer(1, LongestAllowed)),
        ("dry_penalty_last_n", (ref json, body) => json.Integer(-1, int.MaxValue)),
        ("dry_sequence_breakers", ReadBreakers),
    ];

    private static void ReadBreakers(ref JsonFields json, ParsedBody body)
    {
        if (json.Token is JsonTokenType.Null) return;
        if (json.Token is not JsonTokenType.StartArray) throw json.Wrong("must be a list of strings");

        for (var count = 1; json.NextElement(); count++)
        {
            if (count > MaxBreakers) throw json.Wrong($"comes after {MaxBreakers} others, the limit: it must be left out");
            if (json.Token is not JsonTokenType.String) throw json.Wrong("must be a string");
            if (json.End - json.Offset <= 2) throw json.Wrong("is empty: it must have a character");
            json.IsText(LongestBreaker);
        }
    }
}
