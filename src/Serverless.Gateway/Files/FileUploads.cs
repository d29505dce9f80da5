using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Files;
using Serverless.Gateway.Admission;
using Serverless.Hosting.Files;
using Serverless.Requests;

namespace Serverless.Gateway.Files;

/// <summary>Receives files: from the connection into the store, a buffer at a time; what is refused, broken off or given up leaves nothing. Thread-safe.</summary>
internal sealed class FileUploads(FileDirectory directory, IOptions<FileStoreOptions> options, FileMetrics metrics, TimeProvider time)
{
    /// <summary>What a form has around the file at most.</summary>
    private const int AroundFile = 128 * 1024;

    private readonly UploadPlaces _places = new(options.Value.MaxUploads);

    /// <exception cref="ServingException">It is refused, or cannot be kept now.</exception>
    /// <returns>The file, and whether it was there: sent before under the same <c>Idempotency-Key</c>.</returns>
    public async Task<(StoredFile File, bool IsRepeated)> ReceiveAsync(HttpRequest request, Owner owner, CancellationToken cancellationToken)
    {
        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size) size.MaxRequestBodySize = null; // the store counts
        if (!_places.TryTake(owner.Organization)) throw await RefuseAsync(request, new ServingException(TooMany()), cancellationToken);

        try
        {
            var received = await ReceiveWithinAsync(request, owner, cancellationToken);
            metrics.Received(received.File.Bytes);
            return received;
        }
        catch (ServingException exception)
        {
            throw await RefuseAsync(request, exception, cancellationToken);
        }
        catch (BadHttpRequestException exception)
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"The body could not be read: {exception.Message}"), exception);
        }
        finally
        {
            _places.Return(owner.Organization);
        }
    }

    private async Task<(StoredFile File, bool IsRepeated)> ReceiveWithinAsync(HttpRequest request, Owner owner, CancellationToken cancellationToken)
    {
        var longest = options.Value.UploadTimeout;
        using var limit = new CancellationTokenSource(longest, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            RequirePlain(request);
            var boundary = UploadForm.BoundaryOf(request.ContentType);
            if (request.ContentLength - AroundFile > directory.Limits.MaxFileBytes) throw new ServingException(directory.TooLong(string.Create(CultureInfo.InvariantCulture, $"sent in a body of {request.ContentLength} bytes")));
            var key = ClientHeaders.ReadIdempotencyKey(request.Headers);
            var id = key is null ? FileId.New() : FileId.Derive(Encoding.UTF8.GetBytes($"upload\n{owner.Scope}\n{key}"));
            var isThere = key is not null && await directory.FindAsync(owner, id.Value, either.Token) is not null;
            if (!isThere) await directory.RequireRoomAsync(owner, Math.Max(0, (request.ContentLength ?? 0) - AroundFile), either.Token);
            return await ReceiveAsync(request.Body, boundary, owner, id, either.Token);
        }
        catch (OperationCanceledException exception) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"The upload took longer than {longest} (Files:UploadTimeout); send it over a faster connection, or split it.", "file", "upload_timeout"), exception);
        }
    }

    private async Task<(StoredFile File, bool IsRepeated)> ReceiveAsync(Stream body, string boundary, Owner owner, FileId id, CancellationToken cancellationToken)
    {
        FileDraft? draft = null;
        try
        {
            var details = await UploadForm.ReadAsync(body, boundary, async (content, token) => draft = await directory.DraftAsync(owner, id, content, token), cancellationToken);
            var whole = draft!;
            draft = null; // from here on it is the directory's
            var file = await directory.PublishAsync(whole, details, CancellationToken.None); // what its key names already stays as it is
            if (file.Content == whole.Content.Name) return (file, false);
            return file.Sha256 == whole.Bytes.Sha256 && file.Filename == details.Filename && file.Purpose == details.Purpose ? (file, true) : throw new ServingException(Conflict(file));
        }
        finally
        {
            if (draft is not null) await directory.DiscardAsync(draft);
        }
    }

    /// <summary>The client comes to hear why.</summary>
    private async Task<ServingException> RefuseAsync(HttpRequest request, ServingException exception, CancellationToken cancellationToken)
    {
        metrics.Refused(exception.Fault.Error);
        await RefusedBody.DrainAsync(request, time, cancellationToken);
        if (HttpProtocol.IsHttp11(request.Protocol)) request.HttpContext.Response.Headers.Connection = "close"; // more of the body may be on its way
        return exception;
    }

    private static ServingFault Conflict(StoredFile file) => new(
        ServingError.IdempotencyConflict, $"This Idempotency-Key came before with other bytes, another filename or purpose, for {file.Id}; use a key once for one file, and send the same when you send it again.", "Idempotency-Key");

    private static void RequirePlain(HttpRequest request)
    {
        if (request.Headers.ContentEncoding is [{ Length: > 0 } encoding, ..] && !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase))
        {
            throw new ServingException(new ServingFault(ServingError.UnsupportedContentType, "The body is encoded (Content-Encoding); send it unencoded."));
        }
    }

    private ServingFault TooMany() => new(
        ServingError.QueueFull, $"This gateway receives {options.Value.MaxUploads} uploads at once (Files:MaxUploads), of one organization half as many, and those are on their way; send the file again in a moment.", Code: "too_many_uploads");
}
