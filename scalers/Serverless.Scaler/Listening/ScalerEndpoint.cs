using System.Net;
using System.Security.Authentication;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Serverless.Scaler.Listening;

/// <summary>Where KEDA connects.</summary>
public static class ScalerEndpoint
{
    /// <summary>KEDA has one connection per address for all ScaledObjects, with two streams each, and waits without limit for a stream that is not granted; Kestrel's own limit is 100.</summary>
    private const int MostStreams = 1_000_000;

    /// <summary>Serves gRPC on that address: HTTP/2, over TLS where <paramref name="tls"/> is given. A peer that is gone without a word is noticed within a minute.</summary>
    /// <exception cref="InvalidOperationException">The TLS files cannot be used; the message names them.</exception>
    public static void ListenScaler(this KestrelServerOptions kestrel, IPEndPoint address, ScalerTlsOptions? tls = null)
    {
        ArgumentNullException.ThrowIfNull(kestrel);
        var http2 = kestrel.Limits.Http2;
        http2.MaxStreamsPerConnection = MostStreams;
        http2.KeepAlivePingDelay = TimeSpan.FromSeconds(20);
        http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(20);

        // A reader may be slow: KEDA takes one message at a time, each with calls to its API server. Dead ones are found by ping and by the limit of a write.
        kestrel.Limits.MinResponseDataRate = null;

        var certificates = tls is null ? null : Certificates(kestrel.ApplicationServices, tls);
        kestrel.Listen(address, endpoint =>
        {
            endpoint.Protocols = HttpProtocols.Http2;
            if (certificates is not null) endpoint.UseHttps(https => Secure(https, certificates, tls!));
        });
    }

    private static ScalerCertificates Certificates(IServiceProvider services, ScalerTlsOptions tls) =>
        new(tls, services.GetRequiredService<TimeProvider>(), services.GetRequiredService<ILogger<ScalerCertificates>>());

    private static void Secure(HttpsConnectionAdapterOptions https, ScalerCertificates certificates, ScalerTlsOptions tls)
    {
        https.SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13;
        https.ServerCertificateSelector = (_, _) => certificates.Server;
        if (string.IsNullOrEmpty(tls.ClientCaFile)) return;

        https.ClientCertificateMode = ClientCertificateMode.RequireCertificate;
        https.ClientCertificateValidation = (certificate, _, _) => certificates.Accepts(certificate);
    }
}
