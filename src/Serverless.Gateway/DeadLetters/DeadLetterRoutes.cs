using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.DeadLetters;

/// <summary>
/// What operators do with dead letters: <c>GET /admin/dead-letters</c>, <c>GET | DELETE /admin/dead-letters/{id}</c>, <c>POST /admin/dead-letters/{id}/redrive</c>. The gateway
/// does it and no tool beside it, for a redrive needs what the gateway has: the log in which the new request begins, and the queue.
/// </summary>
internal static class DeadLetterRoutes
{
    private const string Route = "/admin/dead-letters";
    private const int DefaultLimit = 100;
    private const int LongestList = 10_000;

    /// <summary>Maps them where the host has dead letters; <paramref name="guard"/> lets operators in and nobody else.</summary>
    public static void MapDeadLetters(this IEndpointRouteBuilder routes, Func<RequestDelegate, RequestDelegate> guard)
    {
        if (routes.ServiceProvider.GetService<IDeadLetters>() is not { } letters) return;

        var redrive = routes.ServiceProvider.GetRequiredService<Redrive>();
        routes.MapGet(Route, guard(Answer(http => ListAsync(http, letters))));
        routes.MapGet(Route + "/{id}", guard(Answer(http => ShowAsync(http, letters))));
        routes.MapDelete(Route + "/{id}", guard(Answer(http => RemoveAsync(http, letters))));
        routes.MapPost(Route + "/{id}/redrive", guard(Answer(http => RedriveAsync(http, redrive))));
    }

    private static async Task<byte[]> ListAsync(HttpContext http, IDeadLetters letters)
    {
        var asked = (string?)http.Request.Query["limit"];
        if (!int.TryParse(asked ?? $"{DefaultLimit}", out var limit) || limit is < 1 or > LongestList)
        {
            throw new ServingException(new ServingFault(ServingError.InvalidRequest, $"limit is a number from 1 to {LongestList}.", "limit"));
        }

        return DeadLetterJson.List(await letters.ListAsync(limit, http.RequestAborted));
    }

    private static async Task<byte[]> ShowAsync(HttpContext http, IDeadLetters letters) =>
        await letters.GetAsync(Id(http), http.RequestAborted) is { } letter ? DeadLetterJson.One(letter) : throw NotFound(Id(http));

    private static async Task<byte[]> RemoveAsync(HttpContext http, IDeadLetters letters) =>
        await letters.RemoveAsync(Id(http), http.RequestAborted) ? DeadLetterJson.Removed(Id(http)) : throw NotFound(Id(http));

    private static async Task<byte[]> RedriveAsync(HttpContext http, Redrive redrive) => DeadLetterJson.Redriven(Id(http), await redrive.SendAsync(Id(http), http.RequestAborted));

    private static string Id(HttpContext http) => (string)http.Request.RouteValues["id"]!;

    private static ServingException NotFound(string id) => new(new ServingFault(ServingError.RequestNotFound, $"There is no dead letter '{id}'; see GET {Route}.", "id", "dead_letter_not_found"));

    private static RequestDelegate Answer(Func<HttpContext, Task<byte[]>> answer) => http => AnswerAsync(http, answer);

    private static async Task AnswerAsync(HttpContext http, Func<HttpContext, Task<byte[]>> answer)
    {
        http.Response.Headers["x-request-id"] = http.TraceIdentifier;
        try
        {
            var body = await answer(http);
            http.Response.ContentType = ErrorBody.ContentType;
            http.Response.ContentLength = body.Length;
            await http.Response.Body.WriteAsync(body, http.RequestAborted);
        }
        catch (ServingException exception)
        {
            await ErrorBody.SendAsync(http, exception.Fault, http.RequestAborted);
        }
    }
}
