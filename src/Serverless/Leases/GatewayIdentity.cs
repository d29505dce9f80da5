using System.Security.Cryptography;

namespace Serverless.Leases;

/// <summary>Who this gateway process is.</summary>
/// <param name="Instance">Unique among all gateway processes that ever ran: the holder of what its connections promise. A restarted process is another one, for it has forgotten them.</param>
/// <param name="Address">Where workers of the models it dispatches connect.</param>
public sealed record GatewayIdentity(string Instance, string Address)
{
    /// <summary>A name that no other process has, from the machine's and chance.</summary>
    public static GatewayIdentity New(string address) => new($"{Environment.MachineName.ToLowerInvariant()}-{RandomNumberGenerator.GetHexString(8, lowercase: true)}", address);
}
