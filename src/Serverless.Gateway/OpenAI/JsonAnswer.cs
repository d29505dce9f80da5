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
