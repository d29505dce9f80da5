using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;

namespace Serverless.Hosting.Tls;

/// <summary>
/// One side's certificates, for workers' sessions and the scaler's port alike: read anew when their files change; files that cannot be used leave the last good ones in force. The
/// other side is trusted if one of the authorities signed it, for what it does here, and nobody else is. Thread-safe.
/// </summary>
public sealed partial class ReloadingCertificates
{
    private const string ServerUse = "1.3.6.1.5.5.7.3.1";
    private const string ClientUse = "1.3.6.1.5.5.7.3.2";

    /// <summary>How long files are not looked at again: a handshake costs more than reading them, but a flood of handshakes should not be one of reads.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly TlsFiles _files;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _lock = new();
    private Read _current;
    private long _lookedAt;

    /// <summary>Reads the files.</summary>
    /// <exception cref="InvalidOperationException">One of them cannot be used; the message names it.</exception>
    public ReloadingCertificates(TlsFiles files, TimeProvider time, ILogger<ReloadingCertificates> logger)
    {
        ArgumentNullException.ThrowIfNull(files);
        ArgumentNullException.ThrowIfNull(time);
        (_files, _time, _logger) = (files, time, logger);
        try
        {
            _current = Load(Texts());
            _lookedAt = time.GetTimestamp();
        }
        catch (Exception exception) when (IsBadFile(exception))
        {
            throw new InvalidOperationException($"TLS cannot begin with certificate '{files.Certificate}', key '{files.Key}' and authorities '{files.Authorities}': {exception.Message}", exception);
        }
    }

    /// <summary>This side's certificate now.</summary>
    public X509Certificate2 Certificate => Current.Own.TargetCertificate;

    private Read Current
    {
        get
        {
            lock (_lock)
            {
                if (_time.GetElapsedTime(_lookedAt) >= Interval) LookNeedsLock();
                return _current;
            }
        }
    }

    /// <summary>What one handshake at the server's end goes by.</summary>
    public SslServerAuthenticationOptions Server() => new()
    {
        ServerCertificateContext = Current.Own,
        AllowTlsResume = false, // a session of before would come in without its certificate being looked at
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ApplicationProtocols = [SslApplicationProtocol.Http2],
        ClientCertificateRequired = _files.Authorities is not null,
        RemoteCertificateValidationCallback = (_, client, chain, _) => _files.Authorities is null || Trusts(client, chain, ClientUse),
    };

    /// <summary>What handshakes at the client's end go by, now and later. <paramref name="server"/> is the name that must stand in the other side's certificate.</summary>
    public SslClientAuthenticationOptions Client(string server) => new()
    {
        TargetHost = server,
        AllowTlsResume = false,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        LocalCertificateSelectionCallback = (_, _, _, _, _) => Certificate,
        RemoteCertificateValidationCallback = (_, other, chain, errors) => (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) == SslPolicyErrors.None && Trusts(other, chain, ServerUse),
    };

    private static bool IsBadFile(Exception exception) => exception is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException;

    private static Read Load((string Certificate, string Key, string Authorities) texts)
    {
        var authorities = new X509Certificate2Collection();
        if (texts.Authorities.Length > 0) authorities.ImportFromPem(texts.Authorities);
        if (texts.Authorities.Length > 0 && authorities.Count == 0) throw new CryptographicException("there is no certificate among the authorities");

        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(texts.Certificate);
        return new Read(texts, SslStreamCertificateContext.Create(X509Certificate2.CreateFromPem(texts.Certificate, texts.Key), [.. chain.Skip(1)], offline: true), authorities);
    }

    private bool Trusts(X509Certificate? other, X509Chain? sent, string use)
    {
        if (other is null) return false;

        using var chain = new X509Chain { ChainPolicy = { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, VerificationTime = _time.GetUtcNow().LocalDateTime } };
        chain.ChainPolicy.CustomTrustStore.AddRange(Current.Authorities);
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(use));
        if (sent is not null) chain.ChainPolicy.ExtraStore.AddRange(sent.ChainPolicy.ExtraStore);
        return chain.Build(other as X509Certificate2 ?? X509CertificateLoader.LoadCertificate(other.GetRawCertData()));
    }

    private (string Certificate, string Key, string Authorities) Texts() =>
        (File.ReadAllText(_files.Certificate), File.ReadAllText(_files.Key), _files.Authorities is { } authorities ? File.ReadAllText(authorities) : "");

    /// <summary>Contents are compared, not times: Kubernetes swaps a link, and half a change (a new certificate beside the old key) is read again the next time.</summary>
    private void LookNeedsLock()
    {
        _lookedAt = _time.GetTimestamp();
        try
        {
            var texts = Texts();
            if (texts == _current.Texts) return;

            _current = Load(texts);
            var own = _current.Own.TargetCertificate;
            Changed(own.Subject, own.NotAfter);
        }
        catch (Exception exception) when (IsBadFile(exception))
        {
            Unusable(_files.Certificate, exception.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Certificate {Subject}, valid until {NotAfter}, is in use from the next connection.")]
    private partial void Changed(string subject, DateTime notAfter);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Certificate {File} has changed and cannot be used: {Reason}. The last good one stays in use.")]
    private partial void Unusable(string file, string reason);

    private sealed record Read((string Certificate, string Key, string Authorities) Texts, SslStreamCertificateContext Own, X509Certificate2Collection Authorities);
}

/// <summary>Where one side's TLS files are, in PEM.</summary>
/// <param name="Certificate">Its certificate, first, and its chain.</param>
/// <param name="Key">The certificate's private key.</param>
/// <param name="Authorities">Whose certificates the other side may have; null: nothing is asked of it.</param>
public sealed record TlsFiles(string Certificate, string Key, string? Authorities);
