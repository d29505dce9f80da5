using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Serverless.Gateway.Waiting;
using Serverless.Tenancy;

namespace Serverless.Gateway.Access;

/// <summary>
/// Pages in browsers (CORS): those of <see cref="AccessOptions.AllowedOrigins"/> may call the API, and read the headers that clients need. Nothing of it exists where none is named. Cookies are
/// never sent along: a page has a key or it has none.
/// </summary>
internal static class Browsers
{
    private const string Policy = "browsers";

    /// <summary>What a page may read beside the body.</summary>
    public static readonly string[] Exposed =
        ["x-request-id", "Location", "Retry-After", "Preference-Applied", "Idempotency-Replayed", QueueView.TokensAheadHeader, QueueView.EstimatedWaitHeader, "Content-Disposition", "Content-Range", "ETag", "Accept-Ranges"];

    private static readonly string[] Methods = [HttpMethods.Get, HttpMethods.Head, HttpMethods.Post, HttpMethods.Delete];

    public static IServiceCollection AddBrowsers(this IServiceCollection services)
    {
        services.AddCors();
        services.AddOptions<CorsOptions>().Configure<IOptions<AccessOptions>>((cors, access) => cors.AddPolicy(Policy, policy => policy
            .WithOrigins([.. access.Value.AllowedOrigins ?? []])
            .WithMethods(Methods)
            .AllowAnyHeader()
            .WithExposedHeaders(Exposed)
            .SetPreflightMaxAge(TimeSpan.FromMinutes(10))));
        services.AddOptions<AccessOptions>().Validate<IServiceProvider>(
            (access, provider) => access.AllowedOrigins?.Contains("*", StringComparer.Ordinal) != true || provider.GetRequiredService<IApiKeySource>().Current is not null,
            $"{AccessOptions.Section}:{nameof(AccessOptions.AllowedOrigins)} is '*' and no keys are asked for: every page that somebody opens could use this gateway. Name the origins, or set up keys.");
        return services;
    }

    /// <summary>After routing and before the doors: a preflight has no key. A page that asks for what is not there below <c>/v1</c>, or with another method, is to read our text too, not a "network error".</summary>
    public static void UseBrowsers(this WebApplication app)
    {
        if (!AreAllowed(app.Services)) return;

        app.UseWhen(static http => http.Request.Path.StartsWithSegments("/v1", StringComparison.OrdinalIgnoreCase) && http.GetEndpoint() is not RouteEndpoint, static unrouted => unrouted.UseCors(Policy));
        app.UseCors();
    }

    /// <summary>Opens these routes to the pages.</summary>
    public static RouteGroupBuilder AllowBrowsers(this RouteGroupBuilder routes, IServiceProvider services) => AreAllowed(services) ? routes.RequireCors(Policy) : routes;

    private static bool AreAllowed(IServiceProvider services) => services.GetRequiredService<IOptions<AccessOptions>>().Value.AllowedOrigins is { Count: > 0 };
}
