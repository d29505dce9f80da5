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

    /// <summary>Maps them where the host has dead letters, on a group that lets operators in and nobody else.</summary>
    public static void MapDeadLetters(this IEndpointRouteBuilder routes)
    {
        if (routes.ServiceProvider.GetService<IDeadLetters>() is not { } letters) return;

        var redrive = routes.ServiceProvider.GetRequiredService<Redrive>();
        routes.MapMethods(Route, ListQuery.Methods, http => SendAsync(http, ListAsync(http, letters)));
        routes.MapMethods(Route + "/{id}", ListQuery.Methods, http => SendAsync(http, ShowAsync(http, letters)));
        routes.MapDelete(Route + "/{id}", http => SendAsync(http, RemoveAsync(http, letters)));
        routes.MapPost(Route + "/{id}/redrive", http => SendAsync(http, RedriveAsync(http, redrive)));
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

    private static async Task SendAsync(HttpContext http, Task<byte[]> body) => await JsonAnswer.SendAsync(http, await body, http.RequestAborted);
}
