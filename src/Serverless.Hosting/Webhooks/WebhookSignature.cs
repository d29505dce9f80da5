using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Serverless.Hosting.Webhooks;

/// <summary>Signatures of Standard Webhooks 1.0 (standardwebhooks.com): HMAC-SHA256 over id, time and body, so that a receiver knows who sent what, and when.</summary>
public static class WebhookSignature
{
    /// <summary>What a secret begins with.</summary>
    public const string Prefix = "whsec_";

    private const int ShortestSecret = 24;
    private const int LongestSecret = 64;

    /// <summary>The secrets of a setting, which has one, or several with spaces between while one is replaced; null: it is no such setting.</summary>
    public static IReadOnlyList<byte[]>? ReadSecrets(string? text)
    {
        var parts = (text ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var secrets = new List<byte[]>(parts.Length);
        foreach (var part in parts)
        {
            var bytes = new byte[LongestSecret + 1];
            if (!part.StartsWith(Prefix, StringComparison.Ordinal) || !Convert.TryFromBase64String(part[Prefix.Length..], bytes, out var length) || length is < ShortestSecret or > LongestSecret) return null;
            secrets.Add(bytes[..length]);
        }

        return secrets.Count > 0 ? secrets : null;
    }

    /// <summary>The value of <c>webhook-signature</c>: one signature for each secret.</summary>
    public static string Sign(string id, DateTimeOffset at, ReadOnlyMemory<byte> body, IReadOnlyList<byte[]> secrets)
    {
        ArgumentNullException.ThrowIfNull(secrets);
        byte[] signed = [.. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id}.{at.ToUnixTimeSeconds()}.")), .. body.Span];
        return string.Join(' ', secrets.Select(secret => "v1," + Convert.ToBase64String(HMACSHA256.HashData(secret, signed))));
    }
}
