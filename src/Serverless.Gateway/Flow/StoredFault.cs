using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;

namespace Serverless.Gateway.Flow;

/// <summary>A failure as it was kept: OpenAI's error object.</summary>
internal static class StoredFault
{
    /// <summary>Whether the same request may fare better another time.</summary>
    public static bool MayPass(JsonElement error) => Row(error) is not { } row || row.RetryAfter is not null || row.HttpStatus >= StatusCodes.Status500InternalServerError;

    /// <summary>Sends it as it was sent first.</summary>
    public static async Task SendAsync(HttpContext http, JsonElement error, CancellationToken cancellationToken)
    {
        var row = Row(error);
        http.Response.StatusCode = row?.HttpStatus ?? StatusCodes.Status500InternalServerError;
        if (row?.RetryAfter is { } delay) http.Response.Headers.RetryAfter = ((int)delay.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        await JsonAnswer.SendAsync(http, Encoding.UTF8.GetBytes($$"""{"error":{{error.GetRawText()}}}"""), cancellationToken);
    }

    private static ErrorRow? Row(JsonElement error)
    {
        var code = error.GetProperty("code").GetString();
        return ServingErrors.All.FirstOrDefault(row => row.Code == code);
    }
}
