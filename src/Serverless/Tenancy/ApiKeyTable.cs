using System.Collections.Frozen;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Serverless.Requests;

namespace Serverless.Tenancy;

/// <summary>
/// API keys by their SHA-256, read from text: a line a key, <c>hash key-id organization team [admin]</c> apart by blanks; <c>#</c> begins a comment. Immutable.
/// </summary>
/// <remarks>A key has 256 random bits, so a plain hash is enough: there is nothing to guess and no salt to keep.</remarks>
public sealed class ApiKeyTable
{
    private const string KeyPrefix = "sk-";
    private const int LongestName = 64;

    private readonly FrozenDictionary<string, ApiKey> _keys;

    private ApiKeyTable(Dictionary<string, ApiKey> keys) => _keys = keys.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>How many keys there are.</summary>
    public int Count => _keys.Count;

    /// <summary>Reads a table.</summary>
    /// <exception cref="FormatException">Lines are faulty: all of them, each with its number and the fix. No line is repeated in the message.</exception>
    public static ApiKeyTable Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var keys = new Dictionary<string, ApiKey>(StringComparer.Ordinal);
        var faults = new List<string>();
        var number = 0;
        foreach (var line in text.EnumerateLines())
        {
            number++;
            var content = line.IndexOf('#') is >= 0 and var comment ? line[..comment] : line;
            if (content.IsWhiteSpace()) continue;
            if (Read(content.ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries), keys) is { } fault) faults.Add($"line {number}: {fault}");
        }

        return faults.Count == 0 ? new ApiKeyTable(keys) : throw new FormatException("API keys are faulty; " + string.Join("; ", faults));
    }

    /// <summary>Makes a key: the key, to be shown once and kept by its owner, and the line to put into the table.</summary>
    /// <exception cref="FormatException">A name is none that a line can hold.</exception>
    public static (string Key, string Line) Create(string organization, string team, bool admin)
    {
        if (FaultyName(organization) || FaultyName(team))
        {
            throw new FormatException($"Organization '{organization}' and team '{team}' must each be 1 to {LongestName} of letters, digits, '.', '_' and '-'.");
        }

        var key = KeyPrefix + RandomNumberGenerator.GetHexString(64, lowercase: true);
        var id = "key-" + RandomNumberGenerator.GetHexString(12, lowercase: true);
        return (key, string.Create(CultureInfo.InvariantCulture, $"{Hash(key)} {id} {organization} {team}{(admin ? " admin" : "")}"));
    }

    /// <summary>What the key stands for; null if it is unknown.</summary>
    public ApiKey? Find(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return _keys.GetValueOrDefault(Hash(key));
    }

    private static string? Read(string[] fields, Dictionary<string, ApiKey> keys)
    {
        if (fields.Length is < 4 or > 5) return $"it has {fields.Length} fields; write 'hash key-id organization team [admin]'";
        if (fields.Length == 5 && fields[4] != "admin") return "its fifth field is not 'admin'; leave it out";
        if (fields[0].Length != 64 || !fields[0].All(char.IsAsciiHexDigit)) return "its first field is no SHA-256 of 64 hex digits; make a line with 'serverless keys create'";
        if (FaultyName(fields[1]) || FaultyName(fields[2]) || FaultyName(fields[3])) return $"key id, organization and team are 1 to {LongestName} of letters, digits, '.', '_' and '-'";

        var key = new ApiKey(new Owner(fields[2], fields[3], fields[1]), fields.Length == 5);
        return keys.TryAdd(fields[0].ToLowerInvariant(), key) ? null : "its key is there twice; keep one of the lines";
    }

    private static bool FaultyName(string name) => name.Length is 0 or > LongestName || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-');

    private static string Hash(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
