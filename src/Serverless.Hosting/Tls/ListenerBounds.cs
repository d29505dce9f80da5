using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Serverless.Hosting.Tls;

/// <summary>What doors for other processes have in common.</summary>
public static class ListenerBounds
{
    /// <summary>Refuses connections beyond so many at once on this address; what others do on theirs does not count.</summary>
    public static ListenOptions AtMost(this ListenOptions endpoint, int connections)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        var open = 0;
        endpoint.Use(next => async connection =>
        {
            try
            {
                if (Interlocked.Increment(ref open) <= connections) await next(connection);
                else connection.Abort();
            }
            finally
            {
                Interlocked.Decrement(ref open);
            }
        });
        return endpoint;
    }

    /// <summary>Serves HTTP/2 over TLS with certificates that may change meanwhile.</summary>
    public static ListenOptions UseHttps(this ListenOptions endpoint, ReloadingCertificates certificates)
    {
        ArgumentNullException.ThrowIfNull(certificates);
        return endpoint.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => new(certificates.Server()) });
    }
}
