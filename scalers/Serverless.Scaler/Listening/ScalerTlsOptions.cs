using System.ComponentModel.DataAnnotations;
using Serverless.Hosting.Tls;

namespace Serverless.Scaler.Listening;

/// <summary>TLS towards KEDA. The files are PEM, as cert-manager mounts them, and are read again when they change.</summary>
public sealed class ScalerTlsOptions
{
    /// <summary>The scaler's certificate, with its chain. Its names must include the host part of <c>scalerAddress</c>.</summary>
    [Required]
    public string CertificateFile { get; set; } = "";

    /// <summary>The certificate's private key.</summary>
    [Required]
    public string KeyFile { get; set; } = "";

    internal TlsFiles Files => new(CertificateFile, KeyFile, string.IsNullOrEmpty(ClientCaFile) ? null : ClientCaFile);

    /// <summary>The authorities whose clients may call; KEDA then needs <c>tlsClientCert</c> and <c>tlsClientKey</c>. Default: none, any client may call.</summary>
    public string? ClientCaFile { get; set; }
}
