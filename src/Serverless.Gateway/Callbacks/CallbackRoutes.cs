using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Serverless.Errors;
using Serverless.Gateway.Access;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;
using Serverless.Requests;

namespace Serverless.Gateway.Callbacks;

/// <summary>A callback once more: <c>POST /v1/requests/{id}/callback</c>.</summary>
internal static class CallbackRoutes
{
    public static void MapCallbacks(this IEndpointRouteBuilder routes, string prefix) => routes.MapPost(prefix + "/requests/{id}/callback", RepeatAsync).RequireRateLimiting(Doors.PerKey);

    private static async Task RepeatAsync(HttpContext http, string id, RequestRecords records, CallbackOutbox outbox, CallbackDelivery delivery, CallbackPolicy policy, TimeProvider time)
    {
        var owner = Caller.KeyOf(http).Owner;
        var record = await ResetAsync(owner, new RequestId(id), records, policy, http.RequestAborted);
        var now = time.GetUtcNow();
        await outbox.RenewAsync(new DueCallback(id, record.Owner, now, now, 0), http.RequestAborted);
        delivery.Look(id);
        http.Response.StatusCode = StatusCodes.Status202Accepted;
        await JsonAnswer.SendAsync(http, RequestObject.Encode(record), http.RequestAborted);
    }

    /// <summary>The record, with its callback to be made again.</summary>
    /// <exception cref="ServingException">There is none to be made.</exception>
    private static async Task<RequestRecord> ResetAsync(Owner owner, RequestId id, RequestRecords records, CallbackPolicy policy, CancellationToken cancellationToken)
    {
        while (await records.FindAsync(owner, id, cancellationToken) is { } stored)
        {
            if (stored.Record.Callback is not { } callback) throw Refused($"Request '{id}' has no callback: none was asked for.");
            if (!stored.Record.HasEnded) throw Refused($"Request '{id}' has not ended; its callback is made when it has.");
            if (policy.WhyNot(new Uri(callback.Url), owner.Organization) is { } why) throw Refused($"The callback of request '{id}' cannot be made: {why}.");

            var reset = stored.Record with { Callback = callback with { Status = CallbackStatus.Pending, At = null, Attempts = 0, Error = null } };
            if (await records.ReplaceAsync(stored, reset, cancellationToken)) return reset;
        }

        throw new ServingException(new ServingFault(ServingError.RequestNotFound, $"There is no request '{id}', or it is forgotten.", "id"));
    }

    private static ServingException Refused(string message) => new(new ServingFault(ServingError.InvalidRequest, message, "id"));
}
