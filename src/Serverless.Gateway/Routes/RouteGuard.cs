using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Serverless.Errors;
using Serverless.Gateway.Access;
using Serverless.Gateway.Flow;

namespace Serverless.Gateway.Routes;

/// <summary>What stands before a route: who may ask, and how what goes wrong is answered. Thread-safe.</summary>
internal sealed partial class RouteGuard(Authenticator access, ILogger<RouteGuard> logger)
{
    /// <summary>For whoever has a key.</summary>
    public RequestDelegate ForKeys(RequestDelegate handler) => Answered(http =>
    {
        access.Authenticate(http.Request);
        return handler(http);
    });

    /// <summary>For admins.</summary>
    public RequestDelegate ForAdmins(RequestDelegate handler) => Answered(http =>
    {
        access.RequireAdmin(http.Request);
        return handler(http);
    });

    /// <summary>What is refused, cannot be reached, or fails is said in OpenAI's shape.</summary>
    public RequestDelegate Answered(RequestDelegate handler) => async http =>
    {
        http.Response.Headers["x-request-id"] = http.TraceIdentifier;
        try
        {
            await handler(http);
        }
        catch (ServingException e)
        {
            await FaultAnswer.SendAsync(http, e.Fault);
        }
        catch (Exception) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client is gone; there is nobody to tell.
        }
        catch (Exception e)
        {
            LogFailed(e, http.Request.Method, http.Request.Path);
            await FaultAnswer.SendAsync(http, new ServingFault(ServingError.Internal, "The gateway failed; the request can be sent again."));
        }
    };

    [LoggerMessage(LogLevel.Error, "Failed to answer {Method} {Path}; its client is told to send it again.")]
    private partial void LogFailed(Exception exception, string method, string path);
}
