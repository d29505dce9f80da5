using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;

namespace Serverless.Gateway.Routes;

/// <summary>Around all routes: what is refused, cannot be reached, fails or is not there is said in OpenAI's shape.</summary>
internal sealed partial class FaultAnswer(RequestDelegate next, ILogger<FaultAnswer> logger)
{
    public async Task InvokeAsync(HttpContext http)
    {
        http.Response.Headers["x-request-id"] = http.TraceIdentifier;
        try
        {
            await next(http);
            if (NotServed(http) is { } fault) await ErrorBody.SendAsync(http, fault, http.RequestAborted);
        }
        catch (ServingException e)
        {
            await SendAsync(http, e.Fault);
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client is gone; there is nobody to tell.
        }
        catch (BadHttpRequestException)
        {
            throw; // the server knows what to say
        }
        catch (Exception e)
        {
            LogFailed(e, http.Request.Method, http.Request.Path);
            await SendAsync(http, RequestFaults.Internal);
        }
    }

    /// <summary>Before or, where it must be, in the midst of an answer.</summary>
    public static async Task SendAsync(HttpContext http, ServingFault fault)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();
            return;
        }

        try
        {
            http.Response.Headers.CacheControl = default;
            await ErrorBody.SendAsync(http, fault, http.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            // The client is gone; there is nobody to tell.
        }
    }

    /// <summary>What routing or a door refused without a word.</summary>
    private static ServingFault? NotServed(HttpContext http)
    {
        var (request, response) = (http.Request, http.Response);
        if (response.HasStarted || response.ContentLength is not null || response.ContentType is not null) return null;

        return response.StatusCode switch
        {
            StatusCodes.Status404NotFound => new ServingFault(ServingError.RouteNotFound, $"Unknown request URL: {request.Method} {request.Path}. See GET /v1/models for what is served."),
            StatusCodes.Status405MethodNotAllowed => new ServingFault(ServingError.MethodNotAllowed, $"{request.Path} does not take {request.Method}; use {response.Headers.Allow}."),
            _ => null,
        };
    }

    [LoggerMessage(LogLevel.Error, "Failed to answer {Method} {Path}; its client is told to send it again.")]
    private partial void LogFailed(Exception exception, string method, string path);
}
