using System.Text;

namespace Serverless.Leases;

/// <summary>
/// Highest-random-weight hashing (Thaler and Ravishankar, 1998): everybody who knows the same members ranks them alike for a key, keys spread evenly,
/// and a member that comes or goes moves only the keys that are its own. Pure; the same in every process and release.
/// </summary>
internal static class Rendezvous
{
    /// <summary>Place of <paramref name="member"/> among <paramref name="members"/> for the key, from 0; their count if it is not among them.</summary>
    public static int Rank(string key, string member, IReadOnlyCollection<string> members)
    {
        if (!members.Contains(member, StringComparer.Ordinal)) return members.Count;

        var own = Weight(key, member);
        return members.Count(other => Weight(key, other) is var weight && (weight > own || (weight == own && string.CompareOrdinal(other, member) < 0)));
    }

    private static ulong Weight(string key, string member)
    {
        // FNV-1a, and the finalizer of splitmix64 for the avalanche that it lacks.
        var hash = 14695981039346656037UL;
        foreach (var octet in Encoding.UTF8.GetBytes(key + "\0" + member)) hash = (hash ^ octet) * 1099511628211UL;
        hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9UL;
        hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBUL;
        return hash ^ (hash >> 31);
    }
}
