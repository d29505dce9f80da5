using System.Globalization;

namespace Serverless.Hosting.Engines.Processes;

/// <summary>Which processes there are, as Linux tells in <c>/proc</c>; elsewhere none are seen.</summary>
internal static class ProcessTree
{
    private const int StatParent = 1;
    private const int StatSession = 3;
    private const int StatStarted = 19;

    /// <summary>What that one began, and what those began.</summary>
    public static IReadOnlyList<SeenProcess> Of(int id)
    {
        var all = All();
        var found = new List<SeenProcess>();
        var parents = new HashSet<int> { id };
        while (all.Where(one => parents.Contains(one.Parent) && !parents.Contains(one.Id)).ToList() is { Count: > 0 } more)
        {
            found.AddRange(more);
            parents.UnionWith(more.Select(one => one.Id));
        }

        return found;
    }

    /// <summary>Those of a session, whoever began them.</summary>
    public static IReadOnlyList<SeenProcess> OfSession(int session) => [.. All().Where(one => one.Session == session)];

    /// <summary>Whether it is there still, and no other of its id.</summary>
    public static bool IsThere(SeenProcess one) => Read(one.Id) is { } now && now.Started == one.Started;

    private static List<SeenProcess> All() => Directory.Exists("/proc/self")
        ? [.. Directory.GetDirectories("/proc").Select(folder => int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? Read(id) : null).OfType<SeenProcess>()]
        : [];

    /// <summary>Null: it went.</summary>
    private static SeenProcess? Read(int id)
    {
        try
        {
            var stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/stat"));
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' '); // its name may hold anything
            return new SeenProcess(id, Number(fields[StatParent]), Number(fields[StatSession]), fields[StatStarted]);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or IndexOutOfRangeException or FormatException)
        {
            return null;
        }
    }

    private static int Number(string field) => int.Parse(field, CultureInfo.InvariantCulture);
}

/// <summary>A process.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Parent">Who began it, or took it on.</param>
/// <param name="Session">Its session.</param>
/// <param name="Started">When, which tells it from a later one of its id.</param>
internal sealed record SeenProcess(int Id, int Parent, int Session, string Started);
