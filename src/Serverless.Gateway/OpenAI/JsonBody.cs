using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Serverless.Gateway.OpenAI;

/// <summary>JSON bodies of one piece.</summary>
internal static class JsonBody
{
    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static byte[] Encode(Action<Utf8JsonWriter> write)
    {
        var body = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(body, WriterOptions)) write(json);
        return body.WrittenSpan.ToArray();
    }
}
