using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Serverless.Errors;
using Serverless.Files;
using Serverless.Gateway.Access;
using Serverless.Gateway.OpenAI;

namespace Serverless.Gateway.Files;

/// <summary>OpenAI's Files API: <c>/v1/files</c>.</summary>
internal static class FileRoutes
{
    private const int LongestList = 10_000;

    public static void MapFiles(this IEndpointRouteBuilder routes, string prefix)
    {
        routes.MapPost(prefix + "/files", UploadAsync).RequireRateLimiting(Doors.PerKey);
        routes.MapMethods(prefix + "/files", ListQuery.Methods, ListAsync).RequireRateLimiting(Doors.PerKey); // it reads as many documents as it shows
        routes.MapMethods(prefix + "/files/{id}", ListQuery.Methods, GetAsync);
        routes.MapDelete(prefix + "/files/{id}", DeleteAsync);
        routes.MapMethods(prefix + "/files/{id}/content", ListQuery.Methods, SendContentAsync).RequireRateLimiting(Doors.PerKey);
    }

    private static async Task UploadAsync(HttpContext http, FileUploads uploads)
    {
        var (file, isRepeated) = await uploads.ReceiveAsync(http.Request, Caller.KeyOf(http).Owner, http.RequestAborted);
        if (isRepeated) http.Response.Headers["Idempotency-Replayed"] = "true";
        await SendAsync(http, FileObject.Encode(file));
    }

    private static async Task ListAsync(HttpContext http, FileDirectory directory)
    {
        var query = http.Request.Query;
        var (page, hasMore) = await directory.ListAsync(
            Caller.KeyOf(http).Owner,
            new FileQuery { After = query["after"], Limit = ListQuery.ReadLimit(query["limit"], LongestList, LongestList), OldestFirst = ReadOrder(query["order"]), Purpose = query["purpose"] },
            http.RequestAborted);
        await SendAsync(http, FileObject.EncodeList(page, hasMore));
    }

    private static async Task GetAsync(HttpContext http, string id, FileDirectory directory) =>
        await SendAsync(http, FileObject.Encode(await directory.GetAsync(Caller.KeyOf(http).Owner, id, http.RequestAborted)));

    private static async Task DeleteAsync(HttpContext http, string id, FileDirectory directory) =>
        await SendAsync(http, FileObject.EncodeDeleted(await directory.DeleteAsync(Caller.KeyOf(http).Owner, id, http.RequestAborted)));

    private static async Task SendContentAsync(HttpContext http, string id, FileDirectory directory, FileMetrics metrics) =>
        await FileContent.SendAsync(http, directory, metrics, await directory.GetAsync(Caller.KeyOf(http).Owner, id, http.RequestAborted));

    private static bool ReadOrder(string? text) => text switch
    {
        null or "desc" => false,
        "asc" => true,
        _ => throw Invalid("'order' is 'asc' or 'desc', by creation; leave it out for the newest first.", "order"),
    };

    private static ServingException Invalid(string message, string param) => new(new ServingFault(ServingError.InvalidRequest, message, param));

    private static Task SendAsync(HttpContext http, byte[] body) => JsonAnswer.SendAsync(http, body, http.RequestAborted);
}
