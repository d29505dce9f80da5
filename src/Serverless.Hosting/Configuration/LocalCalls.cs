using System.Collections.Frozen;
using System.Net;
using Microsoft.AspNetCore.Http;

namespace Serverless.Hosting.Configuration;

/// <summary>Which calls come from this machine itself, and not through a proxy on it.</summary>
public static class LocalCalls
{
    private const string Forwarded = "X-Forwarded-";

    /// <summary>What proxies add, by their own account of themselves or of whom they speak for.</summary>
    private static readonly FrozenSet<string> Headers = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        [
            "Forwarded", "Via", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Original-Forwarded-For", "X-Original-Host", "True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP",
            "X-Envoy-External-Address", "X-ProxyUser-IP",
        ]);

    /// <summary>Whether the other end of the connection is on this machine and shows no sign of a proxy. One that adds nothing, speaks HTTP/1.1 and writes a local <c>Host</c> of its own cannot be told from a program of this machine.</summary>
    public static bool IsLocal(HttpContext http)
    {
        ArgumentNullException.ThrowIfNull(http);
        return http.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(Plain(address)) && !IsProxied(http.Request);
    }

    /// <summary>Whether it came through a proxy. nginx, as it is installed, adds no header and writes the upstream's name as the host, but speaks HTTP/1.0, which no client of ours does.</summary>
    public static bool IsProxied(HttpRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (HttpProtocol.IsHttp10(request.Protocol)) return true;

        foreach (var header in request.Headers)
        {
            if (header.Key.StartsWith(Forwarded, StringComparison.OrdinalIgnoreCase) || Headers.Contains(header.Key)) return true;
        }

        return false;
    }

    /// <summary>Whether the host that was asked for is a name of this machine in itself: a page under another may have been pointed here by its owner (DNS rebinding).</summary>
    public static bool IsLocalName(HostString host) =>
        host.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host.Host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(Plain(address)));

    /// <summary>Without the clothes of IPv6 in which a socket for both shows IPv4.</summary>
    public static IPAddress Plain(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        return address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
    }
}
