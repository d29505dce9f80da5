using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Hosting.Configuration;
using Serverless.Tenancy;

namespace Serverless.Gateway.Access;

/// <summary>
/// Who asks: by <c>Authorization: Bearer</c>, against the keys there are now. Where no keys are asked for, a caller of this machine is the local owner; one of another machine is so
/// only where <see cref="AccessOptions.AllowAnonymous"/> says it.
/// </summary>
internal sealed class KeyAuthentication(
    IApiKeySource keys, IOptions<AccessOptions> access, IOptions<HostFilteringOptions> hosts, IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "Bearer";

    private const string Prefix = "Bearer ";

    protected override Task<AuthenticateResult> HandleAuthenticateAsync() => Task.FromResult(Find(out var key) is { } refusal
        ? AuthenticateResult.Fail(refusal)
        : AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new Caller(key!)), SchemeName)));

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = SchemeName;
        return ErrorBody.SendAsync(Context, new ServingFault(ServingError.InvalidApiKey, Find(out _) ?? "Give an API key."), Context.RequestAborted);
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) => ErrorBody.SendAsync(
        Context,
        new ServingFault(ServingError.NotPermitted, $"{Request.Path} is for operators: ask with a key whose line in the key table ends in 'admin', or, where no keys are asked for, from this machine."),
        Context.RequestAborted);

    /// <summary>Why not, or null. Never repeats what was sent.</summary>
    private string? Find(out ApiKey? key)
    {
        key = null;
        if (keys.Current is not { } table)
        {
            var isLocal = IsLocal(Context);
            if (!isLocal && !access.Value.AllowAnonymous)
            {
                return $"This gateway asks for no keys and so serves its own machine alone. Its operator gives it keys (Keys:File), or lets everyone in who reaches it ({AccessOptions.Section}:{nameof(AccessOptions.AllowAnonymous)}).";
            }

            key = ApiKey.Local with { Admin = isLocal };
            return null;
        }

        var header = Request.Headers.Authorization.ToString();
        if (header.Length == 0) return "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'; an operator makes one with 'serverless keys create'.";
        if (!header.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase)) return "The Authorization header is not of the form 'Bearer YOUR_KEY'.";

        key = table.Find(header[Prefix.Length..].Trim());
        return key is null ? "Incorrect API key provided: it is unknown or was revoked." : null;
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
