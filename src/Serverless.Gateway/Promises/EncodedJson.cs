using System.Text;
using System.Text.Json;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;

namespace Serverless.Gateway.Promises;

/// <summary>JSON that was written, as an element of other JSON.</summary>
internal static class EncodedJson
{
    public static JsonElement Element(ReadOnlyMemory<byte> json) => JsonElement.Parse(json.Span);

    /// <summary>As it was written.</summary>
    public static byte[] Bytes(JsonElement json) => Encoding.UTF8.GetBytes(json.GetRawText());

    /// <summary>A fault as OpenAI writes it, without the envelope.</summary>
    public static JsonElement Error(ServingFault fault) => JsonElement.Parse(ErrorBody.Encode(fault)).GetProperty("error");
}
