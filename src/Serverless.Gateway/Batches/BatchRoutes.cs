using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Serverless.Batches;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Files;
using Serverless.Gateway.Access;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;

namespace Serverless.Gateway.Batches;

/// <summary>OpenAI's Batch API: <c>/v1/batches</c>.</summary>
internal static class BatchRoutes
{
    private const int LongestList = 100;
    private const int DefaultList = 20;

    public static void MapBatches(this IEndpointRouteBuilder routes, string prefix)
    {
        routes.MapPost(prefix + "/batches", CreateAsync).RequireRateLimiting(Doors.PerKey);
        routes.MapMethods(prefix + "/batches", ListQuery.Methods, ListAsync);
        routes.MapMethods(prefix + "/batches/{id}", ListQuery.Methods, GetAsync);
        routes.MapPost(prefix + "/batches/{id}/cancel", CancelAsync);
    }

    private static async Task CreateAsync(HttpContext http, RequestBody bodies, BatchDirectory batches, FileDirectory files, BatchCoordinator coordinator, TimeProvider time)
    {
        var (owner, key) = (Caller.KeyOf(http).Owner, ClientHeaders.ReadIdempotencyKey(http.Request.Headers));
        var batch = BatchBody.Read(await bodies.ReadAsync(http.Request, owner, http.RequestAborted), owner, time.GetUtcNow()) with { TraceParent = TraceContext.Read(http.Request.Headers["traceparent"]) };
        if (key is not null)
        {
            batch = batch with { Id = BatchId.Derive(Encoding.UTF8.GetBytes($"batch\n{owner.Scope}\n{key}")).Value };
            if (await batches.FindAsync(owner.Scope, batch.Id, http.RequestAborted) is { } known) // asked before all that may have changed since, such as its file
            {
                await SendKnownAsync(http, known, batch);
                return;
            }
        }

        coordinator.RequirePlace(owner.Organization);
        await RequireInputAsync(batch, files, http.RequestAborted);
        await files.RequireRoomAsync(owner, 0, http.RequestAborted); // what it makes is owed, whatever there is by then
        var isNew = await batches.CreateAsync(batch, http.RequestAborted);
        coordinator.Look();
        if (isNew) await SendAsync(http, batch);
        else await SendKnownAsync(http, await batches.GetAsync(owner, batch.Id, http.RequestAborted), batch); // two at once
    }

    private static async Task SendKnownAsync(HttpContext http, Batch known, Batch asked)
    {
        if (!known.IsAskedBy(asked))
        {
            throw new ServingException(new ServingFault(
                ServingError.IdempotencyConflict, $"This Idempotency-Key came before with another body, for {known.Id}; use a key once for one batch, and send the same when you send it again.", "Idempotency-Key"));
        }

        http.Response.Headers["Idempotency-Replayed"] = "true";
        await SendAsync(http, known);
    }

    private static async Task RequireInputAsync(Batch batch, FileDirectory files, CancellationToken cancellationToken)
    {
        var input = await files.FindAsync(batch.Owner, batch.InputFileId, cancellationToken)
            ?? throw Invalid("'input_file_id' names no file of yours; upload one with the purpose 'batch' (POST /v1/files).", "input_file_id");
        if (input.Purpose != FilePurposes.Batch) throw Invalid($"'input_file_id' names a file with the purpose '{input.Purpose}'; it must be '{FilePurposes.Batch}'.", "input_file_id");
    }

    private static async Task ListAsync(HttpContext http, BatchDirectory batches)
    {
        var query = http.Request.Query;
        var (page, hasMore) = await batches.ListAsync(Caller.KeyOf(http).Owner, query["after"], ListQuery.ReadLimit(query["limit"], DefaultList, LongestList), http.RequestAborted);
        await JsonAnswer.SendAsync(http, BatchObject.EncodeList(page, hasMore), http.RequestAborted);
    }

    private static async Task GetAsync(HttpContext http, string id, BatchDirectory batches) => await SendAsync(http, await batches.GetAsync(Caller.KeyOf(http).Owner, id, http.RequestAborted));

    private static async Task CancelAsync(HttpContext http, string id, BatchDirectory batches, BatchCoordinator coordinator, BatchNotices notices)
    {
        var batch = await batches.CancelAsync(Caller.KeyOf(http).Owner, id, http.RequestAborted);
        if (batch is { HasEnded: true, Progress.Epoch: 0 }) notices.BeginTellEnd(batch); // nobody runs it, who would
        coordinator.Look();
        await SendAsync(http, batch);
    }

    private static ServingException Invalid(string message, string param) => new(new ServingFault(ServingError.InvalidRequest, message, param));

    private static Task SendAsync(HttpContext http, Batch batch) => JsonAnswer.SendAsync(http, BatchObject.Encode(batch), http.RequestAborted);
}
