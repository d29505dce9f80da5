using System.Security.Cryptography;
using System.Text;

namespace Serverless.Catalog;

/// <summary>The name of one pool, model × flavor: <c>{model}-{flavor}</c>; also its ScaledObject's and Deployment's name, so a DNS label.</summary>
/// <param name="Value">Not empty.</param>
public readonly record struct PoolName(string Value)
{
    private const int LongestLabel = 63;
    private const int HashLength = 8;

    /// <summary>
    /// The name of the pool of that model and flavor: the two joined by a dash. Where that is no DNS label (<c>qwen2.5:7b</c>) what does not fit is replaced, and a hash of the
    /// two keeps names apart.
    /// </summary>
    public static PoolName Of(ModelName model, string flavor)
    {
        var plain = $"{model}-{flavor}";
        if (plain.Length <= LongestLabel && plain.All(IsLabelCharacter) && plain[0] != '-' && plain[^1] != '-') return new PoolName(plain);

        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{model}\0{flavor}")))[..HashLength];
        var label = string.Concat(plain.ToLowerInvariant().Select(character => IsLabelCharacter(character) ? character : '-')).Trim('-');
        return new PoolName($"{label[..Math.Min(label.Length, LongestLabel - HashLength - 1)].TrimEnd('-')}-{hash}");
    }

    /// <inheritdoc/>
    public override string ToString() => Value;

    private static bool IsLabelCharacter(char character) => character is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-';
}
