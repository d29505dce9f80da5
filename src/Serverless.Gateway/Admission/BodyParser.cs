using System.Globalization;
using System.Text.Json;
using Serverless.Catalog.Engines;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Admission;

/// <summary>From a body's bytes to what admission needs of it, in one pass.</summary>
internal static class BodyParser
{
    /// <summary>Less padding than this is nobody's business.</summary>
    private const int LittlePadding = 4 * 1024;

    /// <exception cref="ServingException">The body is not what the endpoint takes; the fault names the field, its value, the limit and the fix.</exception>
    public static ParsedBody Parse(EndpointName endpoint, ReadOnlySpan<byte> bytes)
    {
        var body = new ParsedBody();
        try
        {
            var json = JsonFields.Open(bytes);
            if (endpoint == EndpointName.ChatCompletions) ChatFields.Read(ref json, body);
            else CompletionFields.Read(ref json, body);
            return body;
        }
        catch (JsonException e)
        {
            throw new ServingException(Malformed(e), e);
        }
    }

    /// <summary>
    /// The same, of a body that may lose its padding: white space between values is a queue's and a broker's memory for nothing (16 MB of it around a prompt of ten tokens), so a body
    /// that is padded by more than an eighth is closed up, byte for byte the same within its values, and the bytes that follow are the short ones.
    /// </summary>
    public static ParsedBody Parse(EndpointName endpoint, ref byte[] bytes)
    {
        var body = Parse(endpoint, bytes);
        if (body.Padding < LittlePadding || body.Padding < bytes.Length / 8) return body;

        bytes = Close(bytes);
        return Parse(endpoint, bytes);
    }

    /// <summary>Sound JSON without white space between its tokens. Works in place, then keeps what is left.</summary>
    private static byte[] Close(byte[] json)
    {
        var (to, inText) = (0, false);
        for (var from = 0; from < json.Length; from++)
        {
            var value = json[from];
            if (!inText && value is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t') continue;

            json[to++] = value;
            if (value == '"') inText = !inText;
            else if (value == '\\') json[to++] = json[++from];
        }

        return json[..to];
    }

    private static ServingFault Malformed(JsonException e)
    {
        var reason = e.Message;
        if (reason.IndexOf(" LineNumber:", StringComparison.Ordinal) is > 0 and var end) reason = reason[..end];

        var line = (e.LineNumber + 1)?.ToString(CultureInfo.InvariantCulture);
        var column = (e.BytePositionInLine + 1)?.ToString(CultureInfo.InvariantCulture);
        return new ServingFault(ServingError.InvalidRequest, $"The body is not valid JSON at line {line}, byte {column}: {reason}");
    }
}

/// <summary>What admission and rendering need of a body; everything else stays in its bytes. Filled by one pass, then only read.</summary>
internal sealed class ParsedBody
{
    public string? Model { get; set; }

    public bool Stream { get; set; }

    public bool IncludeUsage { get; set; }

    /// <summary>Where <c>stream_options</c> is, if it was given.</summary>
    public int? StreamOptionsAt { get; set; }

    public int ChoicesPerPrompt { get; set; } = 1;

    public long? MaxTokens { get; set; }

    /// <summary>Wins over <see cref="MaxTokens"/>, its deprecated name.</summary>
    public long? MaxCompletionTokens { get; set; }

    public long? OutputCap => MaxCompletionTokens ?? MaxTokens;

    public long? Seed { get; set; }

    /// <summary>As the client wrote it.</summary>
    public string? ServiceTier { get; set; }

    public bool LogProbs { get; set; }

    public int TopLogProbs { get; set; }

    /// <summary>Where <c>top_logprobs</c> is, if it was given.</summary>
    public int? TopLogProbsAt { get; set; }

    public bool HasMessages { get; set; }

    public bool Echo { get; set; }

    public int? EchoAt { get; set; }

    public int? BestOf { get; set; }

    public int? BestOfAt { get; set; }

    /// <summary>Where each prompt of a completion is, as raw JSON; one for a chat.</summary>
    public List<Range> Prompts { get; } = [];

    /// <summary>Whether the prompts are arrays of token ids.</summary>
    public bool PromptsAreTokens { get; set; }

    /// <summary>The least that the longest prompt is in bytes of text, or its token ids.</summary>
    public long PromptBytes { get; set; }

    /// <summary>Bytes between tokens that say nothing.</summary>
    public int Padding { get; set; }

    /// <summary>Features asked for, and where.</summary>
    public List<(EngineFeature Feature, int Offset)> Asked { get; } = [];

    /// <summary>Notes a feature that the request depends on.</summary>
    public void Ask(EngineFeature feature, int offset, bool asked = true)
    {
        if (asked) Asked.Add((feature, offset));
    }
}
