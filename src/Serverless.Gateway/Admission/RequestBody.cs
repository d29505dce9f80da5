using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Serverless.Errors;

namespace Serverless.Gateway.Admission;

/// <summary>Reads a JSON body once, whole, into an array of its exact size, and no further than the limit.</summary>
internal static class RequestBody
{
    public static async ValueTask<byte[]> ReadAsync(HttpRequest request, long maxBytes, CancellationToken cancellationToken)
    {
        RequireJson(request);
        if (request.ContentLength > maxBytes) throw TooLarge(request, maxBytes, $"{request.ContentLength} bytes");

        try
        {
            while (true)
            {
                var read = await request.BodyReader.ReadAsync(cancellationToken);
                if (read.Buffer.Length > maxBytes) throw TooLarge(request, maxBytes, "longer");

                if (read.IsCompleted)
                {
                    var body = read.Buffer.ToArray();
                    request.BodyReader.AdvanceTo(read.Buffer.End);
                    return body;
                }

                request.BodyReader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            }
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw TooLarge(request, maxBytes, "longer");
        }
        catch (BadHttpRequestException e)
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"The body could not be read: {e.Message}"), e);
        }
    }

    private static void RequireJson(HttpRequest request)
    {
        if (request.Headers.ContentEncoding is [{ Length: > 0 } encoding, ..] && !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase))
        {
            throw Unsupported($"Content-Encoding is '{Shorten(encoding)}'; send the body unencoded.");
        }

        if (request.ContentType is "application/json" or "application/json; charset=utf-8") return;

        if (request.ContentType is not { Length: > 0 } given) throw Unsupported("Content-Type is missing; send 'application/json'.");

        var isJson = MediaTypeHeaderValue.TryParse(given, out var type)
            && (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.Suffix.Equals("json", StringComparison.OrdinalIgnoreCase));
        if (!isJson) throw Unsupported($"Content-Type is '{Shorten(given)}'; send 'application/json'.");

        if (type!.Charset.HasValue && !type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase) && !type.Charset.Equals("\"utf-8\"", StringComparison.OrdinalIgnoreCase))
        {
            throw Unsupported($"The charset is '{Shorten(type.Charset.ToString())}'; JSON is sent in utf-8.");
        }
    }

    private static string Shorten(string header) => header.Length <= 64 ? header : header[..64] + "…";

    private static ServingException Unsupported(string message) => new(new ServingFault(ServingError.UnsupportedContentType, message));

    private static ServingException TooLarge(HttpRequest request, long maxBytes, string actual)
    {
        // What is left of the body is not read: the connection cannot carry another request.
        if (HttpProtocol.IsHttp11(request.Protocol)) request.HttpContext.Response.Headers.Connection = "close";
        return new ServingException(new ServingFault(
            ServingError.BodyTooLarge, $"The body is {actual}; the limit is {maxBytes} bytes. Shorten the prompt or split the request."));
    }
}
