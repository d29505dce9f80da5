using System.Net;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serverless.Hosting.Tls;

namespace Serverless.Scaler.Listening;

/// <summary>Where KEDA connects.</summary>
public static class ScalerEndpoint
{
    /// <summary>
    /// KEDA has one connection per address for all ScaledObjects, with two streams each, and waits without limit for a stream that is not granted; Kestrel's own limit is 100. This is
    /// enough for 10,000 pools.
    /// </summary>
    private const int MostStreams = 20_000;

    /// <summary>Operators, their replicas and people who look: a few dozen.</summary>
    private const int MostConnections = 256;

    /// <summary>Serves gRPC on that address: HTTP/2, over TLS where <paramref name="tls"/> is given. A peer that is gone without a word is noticed within a minute.</summary>
    /// <exception cref="InvalidOperationException">The TLS files cannot be used; the message names them.</exception>
    public static void ListenScaler(this KestrelServerOptions kestrel, IPEndPoint address, ScalerTlsOptions? tls = null)
    {
        ArgumentNullException.ThrowIfNull(kestrel);
        var http2 = kestrel.Limits.Http2;
        http2.MaxStreamsPerConnection = MostStreams;
        http2.KeepAlivePingDelay = TimeSpan.FromSeconds(20);
        http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(20);

        // A reader may be slow: KEDA takes one message at a time, each with calls to its API server. One that takes nothing at all for so long is none.
        kestrel.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 1, gracePeriod: TimeSpan.FromMinutes(2));

        var services = kestrel.ApplicationServices;
        var certificates = tls is null ? null : new ReloadingCertificates(tls.Files, services.GetRequiredService<TimeProvider>(), services.GetRequiredService<ILogger<ReloadingCertificates>>());
        kestrel.Listen(address, endpoint =>
        {
            endpoint.Protocols = HttpProtocols.Http2;
            endpoint.AtMost(MostConnections);
            if (certificates is not null) endpoint.UseHttps(certificates);
        });
    }
}
