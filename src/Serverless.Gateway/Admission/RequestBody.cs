using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;
using Serverless.Errors;
using Serverless.Requests;

namespace Serverless.Gateway.Admission;

/// <summary>
/// Reads JSON bodies, each once, whole, into an array of its exact size, and no further than the limit. Their bytes are taken from the process's budget before they are read, or as they
/// come where no length is told, and given back when the answer has ended: whoever sends the most and the longest fills its own share, not the memory. Thread-safe.
/// </summary>
internal sealed class RequestBody(IOptions<AdmissionOptions> options, ByteBudget budget, TimeProvider time)
{
    private const int FirstStep = 16 * 1024;

    private readonly long _maxBytes = options.Value.MaxBodyBytes;

    /// <summary>Bytes of bodies that are held.</summary>
    public long Held => budget.Held;

    /// <exception cref="ServingException">The body is no JSON by its type, too long, or there is no room for it now.</exception>
    public async ValueTask<byte[]> ReadAsync(HttpRequest request, Owner owner, CancellationToken cancellationToken)
    {
        RequireJson(request);
        if (request.ContentLength > _maxBytes) throw TooLarge(request, $"{request.ContentLength} bytes");

        var taken = new Taken(budget, owner.Organization);
        request.HttpContext.Response.RegisterForDispose(taken);
        try
        {
            return await ReadAsync(request, taken, cancellationToken);
        }
        catch (ServingException e) when (e.Fault.Error == ServingError.QueueFull)
        {
            taken.Dispose();
            await RefusedBody.DrainAsync(request, time, cancellationToken);
            throw;
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw TooLarge(request, "longer");
        }
        catch (BadHttpRequestException e)
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"The body could not be read: {e.Message}"), e);
        }
    }

    /// <summary>Copied out as it comes: what waits in the connection's own buffers stays short, so a body is there once.</summary>
    private async ValueTask<byte[]> ReadAsync(HttpRequest request, Taken taken, CancellationToken cancellationToken)
    {
        var body = Array.Empty<byte>();
        if (request.ContentLength is { } told) Grow(ref body, (int)told, taken);

        var length = 0;
        while (true)
        {
            var read = await request.BodyReader.ReadAsync(cancellationToken);
            try
            {
                var end = length + read.Buffer.Length;
                if (end > _maxBytes) throw TooLarge(request, "longer");

                if (end > body.Length) Grow(ref body, (int)Math.Min(_maxBytes, Math.Max(end, Math.Max(FirstStep, 2L * body.Length))), taken);
                read.Buffer.CopyTo(body.AsSpan(length));
                length = (int)end;
            }
            finally
            {
                request.BodyReader.AdvanceTo(read.Buffer.End);
            }

            if (read.IsCompleted) return length == body.Length ? body : body[..length];
        }
    }

    private static void Grow(ref byte[] body, int length, Taken taken)
    {
        taken.More(length - body.Length);
        var longer = GC.AllocateUninitializedArray<byte>(length);
        body.CopyTo(longer, 0);
        body = longer;
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

    private ServingException TooLarge(HttpRequest request, string actual)
    {
        // What is left of the body is not read: the connection cannot carry another request.
        if (HttpProtocol.IsHttp11(request.Protocol)) request.HttpContext.Response.Headers.Connection = "close";
        return new ServingException(new ServingFault(
            ServingError.BodyTooLarge, $"The body is {actual}; the limit is {_maxBytes} bytes. Shorten the prompt or split the request."));
    }

    /// <summary>What one request has taken of the budget.</summary>
    private sealed class Taken(ByteBudget budget, string organization) : IDisposable
    {
        private long _bytes;

        public void More(long bytes)
        {
            if (!budget.TryTake(organization, bytes))
            {
                var (held, own) = budget.Of(organization);
                throw new ServingException(new ServingFault(
                    ServingError.QueueFull,
                    $"This gateway holds {held} of {budget.Limit} bytes of request bodies, {own} of them your organization's, and {bytes} more would leave others less than it holds; try again later."));
            }

            _bytes += bytes;
        }

        public void Dispose() => budget.Return(organization, Interlocked.Exchange(ref _bytes, 0));
    }
}
