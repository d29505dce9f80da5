using Microsoft.AspNetCore.Http;
using Serverless.Errors;
using Serverless.Tenancy;

namespace Serverless.Gateway.Access;

/// <summary>Who asks: by <c>Authorization: Bearer</c>, against the keys there are now. Thread-safe.</summary>
internal sealed class Authenticator(IApiKeySource keys)
{
    private const string Scheme = "Bearer ";

    /// <exception cref="ServingException">No key, or none that is known.</exception>
    public ApiKey Authenticate(HttpRequest request)
    {
        if (keys.Current is not { } table) return ApiKey.Local;

        var header = request.Headers.Authorization.ToString();
        if (header.Length == 0)
        {
            throw Refused("You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'; an operator makes one with 'serverless keys create'.");
        }

        if (!header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)) throw Refused("The Authorization header is not of the form 'Bearer YOUR_KEY'.");

        return table.Find(header[Scheme.Length..].Trim()) ?? throw Refused("Incorrect API key provided: it is unknown or was revoked.");
    }

    /// <exception cref="ServingException">As of <see cref="Authenticate"/>; or the key is none of an admin.</exception>
    public void RequireAdmin(HttpRequest request)
    {
        if (!Authenticate(request).Admin)
        {
            throw new ServingException(new ServingFault(ServingError.NotPermitted, $"{request.Path} is for admins: ask with a key whose line in the key table ends in 'admin'."));
        }
    }

    private static ServingException Refused(string message) => new(new ServingFault(ServingError.InvalidApiKey, message));
}
