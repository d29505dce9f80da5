using System.Text.Json;
using Serverless.Requests;

namespace Serverless.Gateway.OpenAI;

/// <summary>How a choice is written: chat and completions differ in nothing else. Each method writes one element of <c>choices</c>.</summary>
internal interface IChoiceFormat
{
    /// <summary><c>object</c> of an answer in one piece.</summary>
    JsonEncodedText WholeObject { get; }

    /// <summary><c>object</c> of a part of a stream.</summary>
    JsonEncodedText PartObject { get; }

    /// <summary>Whether a stream's first part of a choice is an opening.</summary>
    bool Opens(AnswerShape shape);

    /// <summary>The part before any output: chat's role, a completion's echo.</summary>
    void WriteOpening(Utf8JsonWriter json, AnswerShape shape, ChoiceOutput choice);

    /// <summary>Output of one step.</summary>
    void WriteDelta(Utf8JsonWriter json, AnswerShape shape, ChoiceOutput choice, ChoiceChunk chunk);

    /// <summary>The last part of a choice.</summary>
    void WriteFinish(Utf8JsonWriter json, ChoiceOutput choice);

    /// <summary>The whole choice.</summary>
    void WriteWhole(Utf8JsonWriter json, AnswerShape shape, ChoiceOutput choice);
}

/// <summary>JSON has no infinity: OpenAI gives −9999 for a token that cannot be.</summary>
internal static class LogProbFloor
{
    private const float Floor = -9999f;

    public static float Clamp(float logProb) => logProb >= Floor ? Math.Min(logProb, 0) : Floor;
}
