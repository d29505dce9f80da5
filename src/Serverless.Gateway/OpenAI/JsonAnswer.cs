using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Serverless.Gateway.OpenAI;

/// <summary>Sends a body of JSON; to HEAD its headers alone.</summary>
internal static class JsonAnswer
{
    public static async Task SendAsync(HttpContext http, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(http.Request.Method)) await http.Response.Body.WriteAsync(body, cancellationToken);
    }
}

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
