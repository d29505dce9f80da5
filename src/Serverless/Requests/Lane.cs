namespace Serverless.Requests;

/// <summary>Priority class of a request; a lower value is served first. It travels by its name (<see cref="Lanes"/>); the value is for ordering within a process.</summary>
public enum Lane
{
    /// <summary>A person waits and pays for it (<c>service_tier: priority</c>).</summary>
    Realtime = 0,

    /// <summary>A connection waits.</summary>
    Interactive = 1,

    /// <summary>Nobody waits: takes what the others leave (<c>service_tier: flex</c>, batch lines).</summary>
    Batch = 2,
}

/// <summary>Names of lanes.</summary>
public static class Lanes
{
    private static readonly string[] Names = ["realtime", "interactive", "batch"];

    /// <summary>As it is written.</summary>
    public static string Name(this Lane lane) => Names[(int)lane];

    /// <summary>False: no lane of this release.</summary>
    public static bool TryParse(string name, out Lane lane)
    {
        var index = Array.IndexOf(Names, name);
        lane = index < 0 ? Lane.Interactive : (Lane)index;
        return index >= 0;
    }
}
