using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Gateway.DeadLetters;
using Serverless.Gateway.Flow;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Pools;
using Serverless.Gateway.Streaming;

namespace Serverless.Gateway.Routes;

/// <summary>The gateway's HTTP face: every route, at one glance.</summary>
public static class GatewayRoutes
{
    /// <summary>Maps all routes of the gateway. Those of OpenAI's are there without <c>/v1</c> too: some clients leave it out.</summary>
    public static IEndpointRouteBuilder MapGateway(this IEndpointRouteBuilder routes)
    {
        var services = routes.ServiceProvider;
        var guard = services.GetRequiredService<RouteGuard>();
        var flow = services.GetRequiredService<RequestFlow>();
        var requests = services.GetRequiredService<RequestsFlow>();
        var catalog = services.GetRequiredService<ICatalogSource>();
        var pools = services.GetRequiredService<PoolsBody>();
        var shutdown = services.GetRequiredService<ShutdownGate>();

        foreach (var prefix in (ReadOnlySpan<string>)["/v1", ""])
        {
            foreach (var api in ApiEndpoint.All) routes.Map(prefix + "/" + api.Name, Only(HttpMethods.Post, http => flow.RunAsync(http, api)));
            routes.Map(prefix + "/models", Only(HttpMethods.Get, guard.ForKeys(http => SendJsonAsync(http, ModelsBody.Encode(catalog.Current)))));
            routes.Map(prefix + "/models/{**id}", Only(HttpMethods.Get, guard.ForKeys(http => SendModelAsync(http, catalog))));
            routes.Map(prefix + "/requests", Only(HttpMethods.Get, guard.Answered(requests.ListAsync)));
            routes.Map(prefix + "/requests/{id}", Either(HttpMethods.Get, guard.Answered(requests.GetAsync), HttpMethods.Delete, guard.Answered(requests.CancelAsync)));
            routes.Map(prefix + "/requests/{id}/events", Only(HttpMethods.Get, guard.Answered(requests.FollowAsync)));
        }

        routes.Map("/admin/pools", Only(HttpMethods.Get, guard.ForAdmins(http => SendJsonAsync(http, pools.Encode()))));
        routes.Map("/admin/pools/{pool}/decisions", Only(HttpMethods.Get, guard.ForAdmins(http => SendDecisionsAsync(http, pools))));
        routes.MapDeadLetters(guard.ForAdmins);
        routes.Map("/healthz", Only(HttpMethods.Get, static http => http.Response.WriteAsync("ok", http.RequestAborted)));
        routes.Map("/readyz", Only(HttpMethods.Get, http => SendReadinessAsync(http, shutdown)));
        routes.MapFallback("{**path}", static http => SendFaultAsync(http, new ServingFault(
            ServingError.RouteNotFound, $"Unknown request URL: {http.Request.Method} {http.Request.Path}. See GET /v1/models for what is served.")));
        return routes;
    }

    private static RequestDelegate Only(string method, RequestDelegate handler) => http =>
    {
        if (http.Request.Method == method || (method == HttpMethods.Get && HttpMethods.IsHead(http.Request.Method))) return handler(http);

        http.Response.Headers.Allow = method;
        return SendFaultAsync(http, new ServingFault(ServingError.MethodNotAllowed, $"{http.Request.Path} does not take {http.Request.Method}; use {method}."));
    };

    private static RequestDelegate Either(string method, RequestDelegate handler, string otherMethod, RequestDelegate otherHandler) => http =>
    {
        if (http.Request.Method == method || (method == HttpMethods.Get && HttpMethods.IsHead(http.Request.Method))) return handler(http);
        if (http.Request.Method == otherMethod) return otherHandler(http);

        http.Response.Headers.Allow = $"{method}, {otherMethod}";
        return SendFaultAsync(http, new ServingFault(ServingError.MethodNotAllowed, $"{http.Request.Path} does not take {http.Request.Method}; use {method} or {otherMethod}."));
    };

    private static Task SendModelAsync(HttpContext http, ICatalogSource catalog)
    {
        // A catch-all keeps an encoded slash as it came.
        var id = ((string?)http.Request.RouteValues["id"] ?? "").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        return catalog.Current.Find(new ModelName(id)) is { } model
            ? SendJsonAsync(http, ModelsBody.Encode(model))
            : SendFaultAsync(http, new ServingFault(ServingError.ModelNotFound, $"The model '{id}' does not exist; see GET /v1/models.", "model"));
    }

    private static Task SendDecisionsAsync(HttpContext http, PoolsBody pools)
    {
        var name = (string)http.Request.RouteValues["pool"]!;
        return pools.EncodeDecisions(new PoolName(name)) is { } body
            ? SendJsonAsync(http, body)
            : SendFaultAsync(http, new ServingFault(ServingError.RouteNotFound, $"There is no pool '{name}'; see GET /admin/pools.", "pool", "pool_not_found"));
    }

    private static Task SendReadinessAsync(HttpContext http, ShutdownGate shutdown)
    {
        if (shutdown.IsStopping) http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return http.Response.WriteAsync(shutdown.IsStopping ? "stopping" : "ready", http.RequestAborted);
    }

    private static Task SendFaultAsync(HttpContext http, ServingFault fault)
    {
        http.Response.Headers["x-request-id"] = http.TraceIdentifier;
        return ErrorBody.SendAsync(http, fault, http.RequestAborted);
    }

    private static Task SendJsonAsync(HttpContext http, byte[] body) => JsonAnswer.SendAsync(http, body, http.RequestAborted);
}
