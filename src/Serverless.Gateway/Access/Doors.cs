using System.Net;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Telemetry;
using Serverless.Hosting.Configuration;
using Serverless.Requests;
using Serverless.Tenancy;

namespace Serverless.Gateway.Access;

/// <summary>
/// The doors of the gateway, closed by default: a route that says nothing needs a key (the fallback policy), <see cref="Operators"/> need more, and what guards itself says so by
/// <c>AllowAnonymous</c>.
/// </summary>
internal static class Doors
{
    /// <summary>The policy of routes for operators: an admin's key; from this machine where no keys are asked for; or the port that is theirs.</summary>
    public const string Operators = "operators";

    /// <summary>The limit of requests that one key may have open.</summary>
    public const string PerKey = "per-key";

    public static IServiceCollection AddDoors(this IServiceCollection services)
    {
        services.TryAddSingleton<KeyAuthentication>();
        services.TryAddSingleton<IAuthenticationService>(provider => provider.GetRequiredService<KeyAuthentication>());
        services.AddAuthorizationBuilder()
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build())
            .AddPolicy(Operators, policy => policy.AddRequirements(new ForOperators()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IAuthorizationHandler, ForOperatorsHandler>());
        services.AddOptions<HostFilteringOptions>().Configure<IApiKeySource, IOptions<AccessOptions>, IConfiguration>(Restrict);
        services.AddBrowsers();
        services.AddRateLimiter(limiter => limiter.AddPolicy(PerKey, Partition).OnRejected = RejectAsync);
        return services;
    }

    /// <summary>Before the routes.</summary>
    public static void UseDoors(this WebApplication app)
    {
        app.UseRouting();
        app.UseBrowsers();
        var authentication = app.Services.GetRequiredService<KeyAuthentication>();
        app.Use(next => http =>
        {
            authentication.Identify(http);
            return next(http);
        });
        app.UseAuthorization();
        if (MostOpen(app.Services) > 0) app.UseRateLimiter();
    }

    /// <summary>A gateway without keys trusts what comes from this machine; a page in a browser of this machine must not come in under a name that its owner points here (DNS rebinding). <c>AllowedHosts</c>, ASP.NET Core's own setting, names others; its <c>*</c>, which templates have, names none. The web host filters by these options.</summary>
    private static void Restrict(HostFilteringOptions hosts, IApiKeySource keys, IOptions<AccessOptions> access, IConfiguration configuration)
    {
        if (configuration["AllowedHosts"] is null or "*" && keys.Current is null && !access.Value.AllowAnonymous) hosts.AllowedHosts = ["localhost", "127.0.0.1", "[::1]"];
    }

    private static int MostOpen(IServiceProvider services) => services.GetRequiredService<IOptions<AccessOptions>>().Value.MaxOpenRequestsPerKey;

    private static RateLimitPartition<string> Partition(HttpContext http) =>
        RateLimitPartition.GetConcurrencyLimiter(PartitionOf(Caller.KeyOf(http).Owner), _ => new ConcurrencyLimiterOptions { PermitLimit = MostOpen(http.RequestServices) });

    /// <summary>An organization's key ids are its own affair.</summary>
    private static string PartitionOf(Owner owner) => $"{owner.Scope}/{owner.Key}";

    private static async ValueTask RejectAsync(OnRejectedContext rejected, CancellationToken cancellationToken)
    {
        var http = rejected.HttpContext;
        var most = MostOpen(http.RequestServices);
        var fault = new ServingFault(ServingError.QueueFull, $"This key has {most} requests open, the most that one key may have here; wait for one to end.", Code: "too_many_open_requests");
        http.RequestServices.GetRequiredService<RefusalLog>().Refused(http.TraceIdentifier, fault);
        await ErrorBody.SendAsync(http, fault, cancellationToken);
    }

    private sealed class ForOperators : IAuthorizationRequirement;

    private sealed class ForOperatorsHandler(IOptions<AccessOptions> access) : AuthorizationHandler<ForOperators>
    {
        protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, ForOperators requirement)
        {
            var isTheirPort = access.Value.AdminUrl is { } url && context.Resource is HttpContext http && IsTheirAddress(http.Connection, url) && IsTheirName(http.Request, url);
            if (isTheirPort || context.User.Identity is Caller { Key.Admin: true }) context.Succeed(requirement);
            return Task.CompletedTask;
        }

        /// <summary>Another address may have the same port and be everybody's.</summary>
        private static bool IsTheirAddress(ConnectionInfo connection, Uri url)
        {
            if (connection.LocalPort != url.Port || connection.LocalIpAddress is not { } local) return false;

            var bound = LocalCalls.Plain(IPAddress.Parse(url.DnsSafeHost));
            return bound.Equals(IPAddress.Any) || bound.Equals(IPAddress.IPv6Any) || bound.Equals(LocalCalls.Plain(local));
        }

        /// <summary>Their port asks for no key, so no page of a browser may reach it: neither under a name that its owner points here (DNS rebinding), nor across sites.</summary>
        private static bool IsTheirName(HttpRequest request, Uri url)
        {
            var isName = request.Host.Host is var host && (IPAddress.TryParse(host.Trim('[', ']'), out _) || host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.Equals(url.Host, StringComparison.OrdinalIgnoreCase));
            return isName && request.Headers.Origin.Count == 0;
        }
    }
}
