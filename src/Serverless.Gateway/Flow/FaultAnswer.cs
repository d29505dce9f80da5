using Microsoft.AspNetCore.Http;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;

namespace Serverless.Gateway.Flow;

/// <summary>A failure before or, where it must be, in the midst of an answer.</summary>
internal static class FaultAnswer
{
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
}
