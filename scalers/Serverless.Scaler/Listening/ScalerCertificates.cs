using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;

namespace Serverless.Scaler.Listening;

/// <summary>The certificates of <see cref="ScalerTlsOptions"/>, read anew when their files change; files that cannot be used leave the last good ones in force. Thread-safe.</summary>
internal sealed partial class ScalerCertificates : IDisposable
{
    /// <summary>How long files are not looked at again: a handshake costs more than reading them, but a flood of handshakes should not be one of reads.</summary>
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly ScalerTlsOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<ScalerCertificates> _logger;
    private readonly Lock _lock = new();
    private Read _current;
    private long _lookedAt;

    /// <summary>Reads the files.</summary>
    /// <exception cref="InvalidOperationException">One of them cannot be used; the message names it.</exception>
    public ScalerCertificates(ScalerTlsOptions options, TimeProvider time, ILogger<ScalerCertificates> logger)
    {
        (_options, _time, _logger) = (options, time, logger);
        try
        {
            _current = Load(Texts());
            _lookedAt = time.GetTimestamp();
        }
        catch (Exception exception) when (IsBadFile(exception))
        {
            throw new InvalidOperationException($"TLS cannot begin with certificate '{options.CertificateFile}', key '{options.KeyFile}' and client authorities '{options.ClientCaFile}': {exception.Message}", exception);
        }
    }

    /// <summary>The server's certificate now.</summary>
    public X509Certificate2 Server => Current.Server;

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

    /// <summary>Whether one of the authorities has signed the client's certificate, for use by a client, and it is in its time.</summary>
    public bool Accepts(X509Certificate2 client)
    {
        using var chain = new X509Chain { ChainPolicy = { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, VerificationTime = _time.GetUtcNow().LocalDateTime } };
        chain.ChainPolicy.CustomTrustStore.AddRange(Current.Authorities);
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid("1.3.6.1.5.5.7.3.2"));
        return chain.Build(client);
    }

    public void Dispose() => _current.Server.Dispose();

    private static bool IsBadFile(Exception exception) => exception is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException;

    private static Read Load((string Certificate, string Key, string Authorities) texts)
    {
        var authorities = new X509Certificate2Collection();
        if (texts.Authorities.Length > 0) authorities.ImportFromPem(texts.Authorities);
        if (texts.Authorities.Length > 0 && authorities.Count == 0) throw new CryptographicException("there is no certificate among the client authorities");

        return new Read(texts, X509Certificate2.CreateFromPem(texts.Certificate, texts.Key), authorities);
    }

    private (string Certificate, string Key, string Authorities) Texts() =>
        (File.ReadAllText(_options.CertificateFile), File.ReadAllText(_options.KeyFile), string.IsNullOrEmpty(_options.ClientCaFile) ? "" : File.ReadAllText(_options.ClientCaFile));

    /// <summary>Contents are compared, not times: Kubernetes swaps a link, and half a change (a new certificate beside the old key) is read again the next time.</summary>
    private void LookNeedsLock()
    {
        _lookedAt = _time.GetTimestamp();
        try
        {
            var texts = Texts();
            if (texts == _current.Texts) return;

            _current = Load(texts);
            Changed(_current.Server.Subject, _current.Server.NotAfter);
        }
        catch (Exception exception) when (IsBadFile(exception))
        {
            Unusable(_options.CertificateFile, exception.Message);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Certificate {Subject}, valid until {NotAfter}, is in use from the next connection.")]
    private partial void Changed(string subject, DateTime notAfter);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Certificate {File} has changed and cannot be used: {Reason}. The last good one stays in use.")]
    private partial void Unusable(string file, string reason);

    private sealed record Read((string Certificate, string Key, string Authorities) Texts, X509Certificate2 Server, X509Certificate2Collection Authorities);
}
