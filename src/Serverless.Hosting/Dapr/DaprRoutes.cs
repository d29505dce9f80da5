using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Serverless.Hosting.Dapr;

/// <summary>Where daprd delivers.</summary>
public static class DaprRoutes
{
    /// <summary>Maps <c>POST /events/{topic}</c> for the subscriptions of <c>components/</c>; <c>AddDaprEvents</c> must have been called.</summary>
    public static IEndpointRouteBuilder MapDaprEvents(this IEndpointRouteBuilder routes)
    {
        var receiver = routes.ServiceProvider.GetRequiredService<DaprEventReceiver>();
        routes.MapPost(DaprNames.EventsPath + "{topic}", receiver.ReceiveAsync);
        return routes;
    }
}
