using System.Collections.Frozen;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Serverless.Requests;

namespace Serverless.Tenancy;

/// <summary>
/// API keys by their SHA-256, read from text: a line a key, <c>hash key-id organization team [admin] [lane=realtime|interactive|batch]</c> apart by blanks; <c>#</c> begins
/// a comment. Immutable.
/// </summary>
/// <remarks>A key has 256 random bits, so a plain hash is enough: there is nothing to guess and no salt to keep.</remarks>
public sealed class ApiKeyTable
{
    private const string KeyPrefix = "sk-";
    private const int LongestName = 64;
    private const int MostTold = 20;
    private const string LaneWord = "lane=";
    private const string Form = "hash key-id organization team [admin] [lane=realtime|interactive|batch]";

    private readonly FrozenDictionary<string, ApiKey> _keys;

    private ApiKeyTable(Dictionary<string, ApiKey> keys) => _keys = keys.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>The word of a line that gives its key that lane.</summary>
    public static string LaneRight(Lane lane) => LaneWord + lane.Name();

    /// <summary>How many keys there are.</summary>
    public int Count => _keys.Count;

    /// <summary>Reads a table.</summary>
    /// <exception cref="FormatException">Lines are faulty: the first of them, each with its number and the fix. No line is repeated in the message.</exception>
    public static ApiKeyTable Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var keys = new Dictionary<string, ApiKey>(StringComparer.Ordinal);
        var owners = new Dictionary<string, Owner>(StringComparer.Ordinal);
        var faults = new List<string>();
        var number = 0;
        foreach (var line in text.EnumerateLines())
        {
            number++;
            var content = line.IndexOf('#') is >= 0 and var comment ? line[..comment] : line;
            if (content.IsWhiteSpace()) continue;
            if (Read(content.ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries), keys, owners) is { } fault) faults.Add($"line {number}: {fault}");
        }

        if (faults.Count == 0) return new ApiKeyTable(keys);

        var more = faults.Count > MostTold ? $"; and {faults.Count - MostTold} more" : "";
        throw new FormatException($"API keys are faulty; {string.Join("; ", faults.Take(MostTold))}{more}");
    }

    /// <summary>Makes a key: the key, to be shown once and kept by its owner, and the line to put into the table.</summary>
    /// <param name="organization">Whose it is.</param>
    /// <param name="team">Its team.</param>
    /// <param name="admin">Whether it opens the admin routes too.</param>
    /// <param name="lane">The highest lane of its requests by name; null: interactive.</param>
    /// <exception cref="FormatException">A name is none that a line can hold, or no lane is called so.</exception>
    public static (string Key, string Line) Create(string organization, string team, bool admin, string? lane = null)
    {
        if (FaultyName(organization) || FaultyName(team))
        {
            throw new FormatException($"Organization '{organization}' and team '{team}' must each be 1 to {LongestName} of letters, digits, '.', '_' and '-'.");
        }

        if (lane is not null && !Lanes.TryParse(lane, out _)) throw new FormatException($"'{lane}' is no lane; a key's highest lane is one of {LaneNames}.");

        var key = KeyPrefix + RandomNumberGenerator.GetHexString(64, lowercase: true);
        var id = "key-" + RandomNumberGenerator.GetHexString(12, lowercase: true);
        return (key, string.Create(CultureInfo.InvariantCulture, $"{Hash(key)} {id} {organization} {team}{(admin ? " admin" : "")}{(lane is null ? "" : $" {LaneWord}{lane}")}"));
    }

    /// <summary>What the key stands for; null if it is unknown.</summary>
    public ApiKey? Find(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return _keys.GetValueOrDefault(Hash(key));
    }

    private static string LaneNames => string.Join(", ", Enum.GetValues<Lane>().Select(lane => lane.Name()));

    private static string? Read(string[] fields, Dictionary<string, ApiKey> keys, Dictionary<string, Owner> owners)
    {
        if (fields.Length < 4) return $"it has {fields.Length} fields; write '{Form}'";
        if (fields[0].Length != 64 || !fields[0].All(char.IsAsciiHexDigit)) return "its first field is no SHA-256 of 64 hex digits; make a line with 'serverless keys create'";
        if (FaultyName(fields[1]) || FaultyName(fields[2]) || FaultyName(fields[3])) return $"key id, organization and team are 1 to {LongestName} of letters, digits, '.', '_' and '-'";

        var key = new ApiKey(new Owner(fields[2], fields[3], fields[1]), Admin: false);
        if (ReadRights(fields.AsSpan(4), ref key) is { } fault) return fault;

        // A team may have an old and a new key under one id; another's is counted and shown as if it were theirs.
        if (!owners.TryAdd(fields[1], key.Owner) && owners[fields[1]] != key.Owner) return $"its key id '{fields[1]}' is another organization's or team's too; give it one of its own";
        return keys.TryAdd(fields[0].ToLowerInvariant(), key) ? null : "its key is there twice; keep one of the lines";
    }

    /// <summary>The words after the names, in any order and each once. A right that is not understood is an error: passed over, the key would be another than was meant.</summary>
    private static string? ReadRights(ReadOnlySpan<string> words, ref ApiKey key)
    {
        var (admin, lane) = (false, (Lane?)null);
        for (var i = 0; i < words.Length; i++)
        {
            if (words[i] == "admin" && !admin)
            {
                admin = true;
            }
            else if (words[i].StartsWith(LaneWord, StringComparison.Ordinal) && lane is null)
            {
                if (!Lanes.TryParse(words[i][LaneWord.Length..], out var highest)) return $"its field {5 + i} names no lane; write one of {LaneNames} after '{LaneWord}'";
                lane = highest;
            }
            else
            {
                return $"its field {5 + i} is neither 'admin' nor '{LaneWord}…', or is there twice; leave it out";
            }
        }

        key = key with { Admin = admin, HighestLane = lane ?? Lane.Interactive };
        return null;
    }

    private static bool FaultyName(string name) => name.Length is 0 or > LongestName || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');

    private static string Hash(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
