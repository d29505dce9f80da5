using System.Globalization;
using Microsoft.AspNetCore.Http;
using Serverless.Errors;

namespace Serverless.Gateway.OpenAI;

/// <summary>A fault as OpenAI writes it: status, <c>Retry-After</c>, and a body with all four keys.</summary>
internal static class ErrorBody
{
    /// <summary>The body.</summary>
    public static byte[] Encode(ServingFault fault)
    {
        var row = ServingErrors.Row(fault.Error);
        return JsonBody.Encode(json =>
        {
            json.WriteStartObject();
            json.WriteStartObject("error");
            json.WriteString("message", fault.Message);
            json.WriteString("type", row.Type);
            json.WriteString("param", fault.Param);
            json.WriteString("code", fault.Code ?? row.Code);
            json.WriteEndObject();
            json.WriteEndObject();
        });
    }

    /// <summary>Answers with a fault. Nothing may have been sent.</summary>
    public static async Task SendAsync(HttpContext context, ServingFault fault, CancellationToken cancellationToken)
    {
        var body = Encode(fault);
        var response = context.Response;
        response.StatusCode = ServingErrors.Row(fault.Error).HttpStatus;
        if (RetryAfterSeconds(fault) is { } seconds) response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        await JsonAnswer.SendAsync(context, body, cancellationToken);
    }

    /// <summary>Whole seconds, 1 to 60: clients ignore more; null where a retry cannot help.</summary>
    public static int? RetryAfterSeconds(ServingFault fault) =>
        (fault.RetryAfter ?? ServingErrors.Row(fault.Error).RetryAfter) is { } delay ? (int)Math.Clamp(Math.Ceiling(delay.TotalSeconds), 1, 60) : null;
}
