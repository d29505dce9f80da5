using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Gateway.Access;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;
using Serverless.Gateway.Streaming;
using Serverless.Gateway.Telemetry;
using Serverless.Gateway.Waiting;
using Serverless.Requests;

namespace Serverless.Gateway.Routes;

/// <summary>Requests by their id: <c>/v1/requests</c>.</summary>
internal static class RequestRoutes
{
    private const int DefaultLimit = 20;
    private const int MaxLimit = 100;

    public static void Map(IEndpointRouteBuilder routes, string prefix)
    {
        routes.MapMethods(prefix + "/requests", ListQuery.Methods, ListAsync);
        routes.MapMethods(prefix + "/requests/{id}", ListQuery.Methods, GetAsync);
        routes.MapDelete(prefix + "/requests/{id}", CancelAsync);
        routes.MapGet(prefix + "/requests/{id}/events", FollowAsync).RequireRateLimiting(Doors.PerKey);
    }

    private static async Task ListAsync(HttpContext http, RequestDirectory directory)
    {
        var query = http.Request.Query;
        var (page, hasMore) = await directory.ListAsync(Caller.KeyOf(http).Owner, query["after"], ListQuery.ReadLimit(query["limit"], DefaultLimit, MaxLimit), http.RequestAborted);
        await JsonAnswer.SendAsync(http, RequestObject.EncodeList(page, hasMore), http.RequestAborted);
    }

    private static async Task GetAsync(HttpContext http, string id, RequestDirectory directory, QueueView queue, WaitNotice notices, ICatalogSource catalog)
    {
        var record = await directory.GetAsync(Caller.KeyOf(http).Owner, new RequestId(id), http.RequestAborted);
        var place = new FairPlace(Lane.Interactive, record.Owner.Organization);
        (WaitEstimate, string)? waiting = record.Status == RequestStatus.Queued && catalog.Current.Find(new ModelName(record.Model)) is { } model
            ? (queue.Estimate(model, place), notices.Describe(model, place))
            : null;
        await JsonAnswer.SendAsync(http, RequestObject.Encode(record, waiting), http.RequestAborted);
    }

    private static async Task CancelAsync(HttpContext http, string id, RequestDirectory directory) =>
        await JsonAnswer.SendAsync(http, RequestObject.Encode(await directory.CancelAsync(Caller.KeyOf(http).Owner, new RequestId(id), http.RequestAborted)), http.RequestAborted);

    /// <summary>Its stream, after <c>Last-Event-ID</c> or <c>starting_after</c>.</summary>
    private static async Task FollowAsync(HttpContext http, string id, RequestDirectory directory, RequestService requests, AnswerSender answers, ShutdownGate shutdown, GatewayMetrics metrics)
    {
        if (shutdown.IsStopping) throw new ServingException(ShutdownGate.Fault);

        var after = http.Request.Headers.TryGetValue("Last-Event-ID", out var last)
            ? EventId.Parse(last, "Last-Event-ID")
            : EventId.Parse(http.Request.Query["starting_after"], "starting_after");
        var ticket = await directory.FollowAsync(Caller.KeyOf(http).Owner, new RequestId(id), Preferences.Read(http.Request.Headers).Resume, http.RequestAborted);
        http.Response.Headers["x-request-id"] = ticket.Id.Value;
        metrics.Resumed(ticket.Shape.Endpoint);
        try
        {
            await answers.SendAsync(http, ticket, after, stream: true);
        }
        catch (Exception e) when (e is IOException || http.RequestAborted.IsCancellationRequested)
        {
            ticket.Fault = RequestFaults.ClientGone;
        }
        finally
        {
            await requests.LeaveAsync(ticket);
        }
    }
}

/// <summary>Answers that are kept, as they were given first.</summary>
internal static class RequestAnswers
{
    public static Task SendStoredAsync(HttpContext http, RequestRecord record)
    {
        if (record.Response is { } response) return JsonAnswer.SendAsync(http, Encoding.UTF8.GetBytes(response.GetRawText()), http.RequestAborted);

        var row = record.FailedAs;
        http.Response.StatusCode = row?.HttpStatus ?? StatusCodes.Status500InternalServerError;
        if (row?.RetryAfter is { } delay) http.Response.Headers.RetryAfter = ((int)delay.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        return JsonAnswer.SendAsync(http, Encoding.UTF8.GetBytes($$"""{"error":{{record.Error!.Value.GetRawText()}}}"""), http.RequestAborted);
    }
}
