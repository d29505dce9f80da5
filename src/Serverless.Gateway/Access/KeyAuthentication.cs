using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Telemetry;
using Serverless.Hosting.Configuration;
using Serverless.Tenancy;

namespace Serverless.Gateway.Access;

/// <summary>
/// Who asks: by <c>Authorization: Bearer</c>, against the keys there are now. Where no keys are asked for, a caller of this machine is the local owner; one of another machine is so
/// only where <see cref="AccessOptions.AllowAnonymous"/> says it. The one scheme there is, so no call pays for a look-up of schemes and a handler of its own, nor writes lines of the framework's: whom it
/// refuses <see cref="RefusalLog"/> tells, which has a bound. Thread-safe.
/// </summary>
internal sealed class KeyAuthentication(IApiKeySource keys, IOptions<AccessOptions> access, IOptions<HostFilteringOptions> hosts, RefusalLog refusals) : IAuthenticationService
{
    public const string SchemeName = "Bearer";

    private const string Prefix = "Bearer ";

    private static readonly ClaimsPrincipal Local = new(new Caller(ApiKey.Local with { Admin = true }));

    private static readonly ClaimsPrincipal Anyone = new(new Caller(ApiKey.Local with { Admin = false }));

    /// <summary>Makes whoever asks the call's user; whoever may not come in stays nobody, and is told why when a door is closed to it.</summary>
    public void Identify(HttpContext http)
    {
        if (Find(http, out var caller) is null) http.User = caller!;
    }

    public Task<AuthenticateResult> AuthenticateAsync(HttpContext context, string? scheme) => Task.FromResult(Find(context, out var caller) is { } refusal
        ? AuthenticateResult.Fail(refusal)
        : AuthenticateResult.Success(new AuthenticationTicket(caller!, SchemeName)));

    public Task ChallengeAsync(HttpContext context, string? scheme, AuthenticationProperties? properties)
    {
        context.Response.Headers.WWWAuthenticate = SchemeName;
        return RefuseAsync(context, new ServingFault(ServingError.InvalidApiKey, Find(context, out _) ?? "Give an API key."));
    }

    public Task ForbidAsync(HttpContext context, string? scheme, AuthenticationProperties? properties) => RefuseAsync(
        context,
        new ServingFault(ServingError.NotPermitted, $"{context.Request.Path} is for operators: ask with a key whose line in the key table ends in 'admin', or, where no keys are asked for, from this machine."));

    public Task SignInAsync(HttpContext context, string? scheme, ClaimsPrincipal principal, AuthenticationProperties? properties) => throw new NotSupportedException("A caller sends its key with each call.");

    public Task SignOutAsync(HttpContext context, string? scheme, AuthenticationProperties? properties) => throw new NotSupportedException("A caller sends its key with each call.");

    private Task RefuseAsync(HttpContext http, ServingFault fault)
    {
        refusals.Refused(http.TraceIdentifier, fault);
        return ErrorBody.SendAsync(http, fault, http.RequestAborted);
    }

    /// <summary>Why not, or null. Never repeats what was sent.</summary>
    private string? Find(HttpContext http, out ClaimsPrincipal? caller)
    {
        caller = null;
        if (keys.Current is not { } table)
        {
            var isLocal = IsLocal(http);
            if (!isLocal && !access.Value.AllowAnonymous)
            {
                return $"This gateway asks for no keys and so serves its own machine alone. Its operator gives it keys (Keys:File), or lets everyone in who reaches it ({AccessOptions.Section}:{nameof(AccessOptions.AllowAnonymous)}).";
            }

            caller = isLocal ? Local : Anyone;
            return null;
        }

        var header = http.Request.Headers.Authorization.ToString();
        if (header.Length == 0) return "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'; an operator makes one with 'serverless keys create'.";
        if (!header.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase)) return "The Authorization header is not of the form 'Bearer YOUR_KEY'.";

        if (table.Find(header[Prefix.Length..].Trim()) is not { } key) return "Incorrect API key provided: it is unknown or was revoked.";

        caller = new ClaimsPrincipal(new Caller(key));
        return null;
    }

    /// <summary>Whether the call comes from this machine, not through a proxy on it, and under a name of its own or one that its operator gave it.</summary>
    private bool IsLocal(HttpContext http) =>
        LocalCalls.IsLocal(http) && (LocalCalls.IsLocalName(http.Request.Host) || hosts.Value.AllowedHosts.Contains(http.Request.Host.Host, StringComparer.OrdinalIgnoreCase));
}

/// <summary>Who asks, once that is known.</summary>
internal sealed class Caller(ApiKey key) : ClaimsIdentity(KeyAuthentication.SchemeName)
{
    public ApiKey Key { get; } = key;

    /// <summary>The key of an authenticated call.</summary>
    public static ApiKey KeyOf(HttpContext http) =>
        http.User.Identity is Caller caller ? caller.Key : throw new ServingException(new ServingFault(ServingError.InvalidApiKey, "The call has no key."));
}
