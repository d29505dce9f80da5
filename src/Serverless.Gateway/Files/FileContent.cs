using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using Serverless.Files;

namespace Serverless.Gateway.Files;

/// <summary>A file's bytes over HTTP: whole or one range of them (RFC 9110 §14), a buffer at a time. They never change, so their hash is their entity tag.</summary>
internal static class FileContent
{
    private const int BufferBytes = 64 * 1024;

    public static async Task SendAsync(HttpContext http, FileDirectory directory, FileMetrics metrics, StoredFile file)
    {
        var (askedHeaders, response) = (http.Request.GetTypedHeaders(), http.Response);
        var tag = new EntityTagHeaderValue($"\"{file.Sha256}\"");
        Describe(response, file, tag);
        if (askedHeaders.IfNoneMatch.Any(known => known.Equals(EntityTagHeaderValue.Any) || known.Compare(tag, useStrongComparison: false)))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        var ranged = askedHeaders.IfRange is not { } ifRange || ifRange.EntityTag?.Compare(tag, useStrongComparison: true) == true;
        var (first, length) = ranged && askedHeaders.Range is { Unit.Value: "bytes", Ranges: { Count: 1 } ranges } ? Select(ranges.First(), file.Bytes) : (0, file.Bytes);
        if (length == 0 && file.Bytes > 0 || first < 0)
        {
            response.StatusCode = StatusCodes.Status416RangeNotSatisfiable;
            response.Headers.ContentRange = new ContentRangeHeaderValue(file.Bytes).ToString();
            response.ContentLength = 0;
            return;
        }

        if (length < file.Bytes)
        {
            response.StatusCode = StatusCodes.Status206PartialContent;
            response.Headers.ContentRange = new ContentRangeHeaderValue(first, first + length - 1, file.Bytes).ToString();
        }

        if (HttpMethods.IsHead(http.Request.Method) || length == 0)
        {
            response.ContentLength = length;
            return;
        }

        await using var content = await directory.OpenAsync(file, first, length, http.RequestAborted);
        response.ContentLength = length;
        await CopyAsync(content, response, length, http.RequestAborted);
        metrics.Sent(length);
    }

    private static void Describe(HttpResponse response, StoredFile file, EntityTagHeaderValue tag)
    {
        var disposition = new ContentDispositionHeaderValue("attachment"); // never shown as a page of ours
        disposition.SetHttpFileName(file.Filename);
        response.ContentType = "application/octet-stream";
        response.Headers.ContentDisposition = disposition.ToString();
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers.AcceptRanges = "bytes";
        response.Headers.ETag = tag.ToString();
        response.Headers.CacheControl = "private, no-cache"; // it may be deleted
    }

    /// <summary>The bytes of a range; none of them are there: (-1, 0).</summary>
    private static (long First, long Length) Select(RangeItemHeaderValue range, long bytes)
    {
        if (range.From is not { } from) return range.To is > 0 and var last && bytes > 0 ? (Math.Max(0, bytes - last), Math.Min(bytes, last)) : (-1, 0);
        return from < bytes ? (from, Math.Min(range.To ?? (bytes - 1), bytes - 1) - from + 1) : (-1, 0);
    }

    /// <summary>As many bytes as were told, or the connection breaks: a short answer must not pass for a whole one.</summary>
    private static async Task CopyAsync(Stream content, HttpResponse response, long length, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            while (length > 0)
            {
                var read = await content.ReadAsync(buffer.AsMemory(0, (int)Math.Min(BufferBytes, length)), cancellationToken);
                if (read == 0) throw new InvalidDataException("A stored file is shorter than its document says.");
                await response.Body.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                length -= read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
