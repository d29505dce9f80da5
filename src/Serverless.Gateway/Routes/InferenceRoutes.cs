using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Gateway.Access;
using Serverless.Gateway.Admission;
using Serverless.Gateway.Callbacks;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;
using Serverless.Gateway.Streaming;
using Serverless.Gateway.Telemetry;
using Serverless.Gateway.Waiting;
using Serverless.Requests;

namespace Serverless.Gateway.Routes;

/// <summary>The face of OpenAI's APIs over HTTP: makes a call of a request, and of what comes back an answer. Thread-safe.</summary>
internal sealed partial class InferenceRoutes(
    RequestService requests, AnswerSender answers, RequestBody bodies, CallbackPolicy callbacks, GatewayMetrics metrics, RefusalLog refusals, TimeProvider time, ILogger<InferenceRoutes> logger)
{
    private const double LongestRetryAfter = 60;

    /// <summary>Every API of ours under its path.</summary>
    public static void Map(IEndpointRouteBuilder routes, string prefix)
    {
        var face = routes.ServiceProvider.GetRequiredService<InferenceRoutes>();
        foreach (var api in ApiEndpoint.All) routes.MapPost(prefix + "/" + api.Name, http => face.ServeAsync(http, api)).RequireRateLimiting(Doors.PerKey);
    }

    /// <summary>Serves one request. Never throws: what goes wrong is answered, and what cannot be answered is aborted.</summary>
    private async Task ServeAsync(HttpContext http, ApiEndpoint api)
    {
        var id = api.NewId();
        var arrivedAt = time.GetTimestamp();
        var (model, error, told) = (GatewayMetrics.OtherModel, (ServingError?)null, false);
        metrics.Opened(api.Name);
        if (http.Request.Headers.TryGetValue("X-Stainless-Retry-Count", out var retries) && retries is not ["0"]) metrics.Retried(api.Name);

        try
        {
            http.Response.Headers["x-request-id"] = id.Value;
            var preferences = Preferences.Read(http.Request.Headers);
            var call = await ReadAsync(http, api, id, preferences, arrivedAt);
            var submitted = await requests.SubmitAsync(call, http.RequestAborted);
            (model, error) = await AnswerAsync(http, call, preferences, submitted);
        }
        catch (ServingException e)
        {
            error = e.Fault.Error;
            refusals.Refused(id, e.Fault);
            told = true;
            await FaultAnswer.SendAsync(http, e.Fault);
        }
        catch (Exception e) when (e is IOException || http.RequestAborted.IsCancellationRequested)
        {
            error = ServingError.Cancelled;
        }
        catch (Exception e)
        {
            error = ServingError.Internal;
            LogFailed(e, id);
            told = true;
            await FaultAnswer.SendAsync(http, RequestFaults.Internal);
        }
        finally
        {
            var took = time.GetElapsedTime(arrivedAt);
            metrics.Closed(api.Name, model, error, took);
            if (error is { } fault and not ServingError.Cancelled && !told) refusals.Failed(id, model, fault, took);
            LogServed(id, model, error, took.TotalSeconds);
        }
    }

    private async Task<Call> ReadAsync(HttpContext http, ApiEndpoint api, RequestId id, Preferences preferences, long arrivedAt)
    {
        var headers = http.Request.Headers;
        var caller = Caller.KeyOf(http);
        return new Call
        {
            Id = id,
            Endpoint = api.Name,
            Owner = caller.Owner,
            HighestLane = caller.HighestLane,
            Body = await bodies.ReadAsync(http.Request, caller.Owner, http.RequestAborted),
            Timeout = ClientHeaders.ReadTimeout(headers),
            LibraryTimeout = ClientHeaders.ReadLibraryTimeout(headers),
            Conversation = ClientHeaders.ReadConversation(headers),
            IdempotencyKey = ClientHeaders.ReadIdempotencyKey(headers),
            Resume = preferences.Resume,
            PromiseAfter = preferences.RespondAsync ? preferences.Wait : null,
            Callback = ReadCallback(headers, preferences, caller.Owner),
            ArrivedAt = arrivedAt,
        };
    }

    private Uri? ReadCallback(IHeaderDictionary headers, Preferences preferences, Owner owner)
    {
        if (ClientHeaders.ReadCallback(headers) is not { } url) return null;
        if (!preferences.RespondAsync) throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"The header '{ClientHeaders.Callback}' is for answers by an id; send 'Prefer: respond-async' too.", ClientHeaders.Callback));
        return callbacks.Read(url, owner.Organization, ClientHeaders.Callback);
    }

    private async Task<(string Model, ServingError? Error)> AnswerAsync(HttpContext http, Call call, Preferences preferences, Submitted submitted)
    {
        if (submitted is Submitted.Before { Record: var record })
        {
            http.Response.Headers["x-request-id"] = record.Id;
            http.Response.Headers["Idempotency-Replayed"] = "true";
            await RequestAnswers.SendStoredAsync(http, record);
            return (record.Model, record.FailedAs?.Error);
        }

        var ticket = submitted is Submitted.Taken taken ? taken.Ticket : ((Submitted.ById)submitted).Ticket;
        var headers = http.Response.Headers;
        headers["x-request-id"] = ticket.Id.Value;
        if (preferences.Resume is not null) headers["Preference-Applied"] = string.Create(CultureInfo.InvariantCulture, $"resume={ticket.Shape.Resume.TotalSeconds:0}");
        if (ticket.Wait is { } wait) QueueView.WriteHeaders(headers, wait);
        try
        {
            if (submitted is Submitted.ById || !await answers.SendAsync(http, ticket, default, ticket.Shape.Stream)) await SendPromiseAsync(http, ticket, preferences);
        }
        catch (Exception e) when (e is IOException || http.RequestAborted.IsCancellationRequested)
        {
            ticket.Fault = ticket.Ended ? ticket.Fault : RequestFaults.ClientGone;
        }
        catch
        {
            ticket.Fault ??= RequestFaults.Internal;
            throw;
        }
        finally
        {
            await requests.LeaveAsync(ticket);
        }

        return (ticket.Shape.Model, ticket.Error);
    }

    /// <summary>202: the answer comes by an id. Says where, and what was preferred.</summary>
    private static Task SendPromiseAsync(HttpContext http, Ticket ticket, Preferences preferences)
    {
        var record = RequestRecord.Of(ticket.Id, ticket.Head, ticket.Shape) with { Status = ticket.Begun ? RequestStatus.InProgress : RequestStatus.Queued };
        var response = http.Response;
        response.StatusCode = StatusCodes.Status202Accepted;
        response.Headers.Location = "/v1/requests/" + ticket.Id.Value;
        if (preferences.RespondAsync) response.Headers["Preference-Applied"] = preferences.RespondAsyncApplied;
        if (ticket.Wait?.Expected is { } wait) response.Headers.RetryAfter = Math.Clamp(Math.Ceiling(wait.TotalSeconds), 1, LongestRetryAfter).ToString(CultureInfo.InvariantCulture);
        return JsonAnswer.SendAsync(http, RequestObject.Encode(record), http.RequestAborted);
    }

    [LoggerMessage(LogLevel.Debug, "{Request} of {Model} took {Seconds:0.00} s; its error: {Error}")]
    private partial void LogServed(RequestId request, string model, ServingError? error, double seconds);

    [LoggerMessage(LogLevel.Error, "Failed to serve {Request}; its client is told to send it again.")]
    private partial void LogFailed(Exception exception, RequestId request);
}
