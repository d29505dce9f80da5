using System.Security.Cryptography.X509Certificates;

namespace Serverless.Hosting.Sessions;

/// <summary>This side's certificate and the one authority it trusts.</summary>
internal sealed class SessionCertificates : IDisposable
{
    public SessionCertificates(WorkerSessionOptions options)
    {
        Own = X509Certificate2.CreateFromPemFile(options.Certificate!, options.Key);
        Authority = X509CertificateLoader.LoadCertificateFromFile(options.Authority!);
    }

    public X509Certificate2 Own { get; }

    public X509Certificate2 Authority { get; }

    /// <summary>Trusts what the authority signed, and nothing else.</summary>
    public X509ChainPolicy Policy()
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.Add(Authority);
        return policy;
    }

    /// <summary>Whether the authority signed it.</summary>
    public bool Trusts(X509Certificate2 certificate)
    {
        using var chain = new X509Chain { ChainPolicy = Policy() };
        return chain.Build(certificate);
    }

    public void Dispose()
    {
        Own.Dispose();
        Authority.Dispose();
    }
}
