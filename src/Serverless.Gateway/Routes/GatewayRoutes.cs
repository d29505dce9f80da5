using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Serverless.Catalog;
using Serverless.Errors;
using Serverless.Gateway.Access;
using Serverless.Gateway.Batches;
using Serverless.Gateway.Callbacks;
using Serverless.Gateway.DeadLetters;
using Serverless.Gateway.EventAdmin;
using Serverless.Gateway.Files;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Pools;
using Serverless.Hosting.Telemetry;

namespace Serverless.Gateway.Routes;

/// <summary>The gateway's HTTP face: every route, at one glance. One that says nothing of who may ask needs a key.</summary>
internal static class GatewayRoutes
{
    /// <summary>Maps all routes of the gateway. Those of OpenAI's are there without <c>/v1</c> too: some clients leave it out.</summary>
    public static void MapGateway(this IEndpointRouteBuilder routes)
    {
        var api = routes.MapGroup("").AllowBrowsers(routes.ServiceProvider);
        foreach (var prefix in (string[])["/v1", ""])
        {
            InferenceRoutes.Map(api, prefix);
            RequestRoutes.Map(api, prefix);
            api.MapCallbacks(prefix);
            api.MapFiles(prefix);
            api.MapBatches(prefix);
            api.MapMethods(prefix + "/models", ListQuery.Methods, static (HttpContext http, ICatalogSource catalog) => SendAsync(http, ModelsBody.Encode(catalog.Current)));
            api.MapMethods(prefix + "/models/{**id}", ListQuery.Methods, SendModelAsync);
        }

        var operators = routes.MapGroup("").RequireAuthorization(Doors.Operators);
        operators.MapMethods("/admin/pools", ListQuery.Methods, static (HttpContext http, PoolsBody pools) => SendAsync(http, pools.Encode()));
        operators.MapMethods("/admin/pools/{pool}/decisions", ListQuery.Methods, SendDecisionsAsync);
        operators.MapDeadLetters();
        operators.MapEvents();
        operators.MapServerlessMetrics();

        routes.MapProbes();
    }

    private static Task SendModelAsync(HttpContext http, string id, ICatalogSource catalog)
    {
        var name = id.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase); // a catch-all keeps an encoded slash as it came
        return catalog.Current.Find(new ModelName(name)) is { } model
            ? SendAsync(http, ModelsBody.Encode(model))
            : throw new ServingException(new ServingFault(ServingError.ModelNotFound, $"The model '{name}' does not exist; see GET /v1/models.", "model"));
    }

    private static Task SendDecisionsAsync(HttpContext http, string pool, PoolsBody pools) => pools.EncodeDecisions(new PoolName(pool)) is { } body
        ? SendAsync(http, body)
        : throw new ServingException(new ServingFault(ServingError.RouteNotFound, $"There is no pool '{pool}'; see GET /admin/pools.", "pool", "pool_not_found"));

    private static Task SendAsync(HttpContext http, byte[] body) => JsonAnswer.SendAsync(http, body, http.RequestAborted);
}
