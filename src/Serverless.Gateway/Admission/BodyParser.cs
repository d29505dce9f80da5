using System.Globalization;
using System.Text.Json;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Admission;

/// <summary>From a body's bytes to what admission needs of it, in one pass.</summary>
internal static class BodyParser
{
    /// <exception cref="ServingException">The body is not what the endpoint takes; the fault names the field, its value, the limit and the fix.</exception>
    public static ParsedBody Parse(EndpointName kind, ReadOnlySpan<byte> bytes)
    {
        var body = new ParsedBody();
        try
        {
            var json = JsonFields.Open(bytes);
            if (kind == EndpointName.ChatCompletions) ChatFields.Read(ref json, body, bytes);
            else CompletionFields.Read(ref json, body, bytes);
            return body;
        }
        catch (JsonException e)
        {
            throw new ServingException(Malformed(e), e);
        }
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
