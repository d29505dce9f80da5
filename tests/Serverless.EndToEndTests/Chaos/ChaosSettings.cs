using System.Globalization;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>How a run goes; by environment for <c>make chaos</c>: <c>CHAOS_REQUESTS</c>, <c>CHAOS_SEED</c>, <c>CHAOS_LONG=1</c> for pauses of 20 and 60 seconds, <c>CHAOS_FAULTS</c> for some faults only, <c>CHAOS_EVENTS=1</c> for events too.</summary>
internal sealed record ChaosSettings
{
    public int Seed { get; init; }

    public int Requests { get; init; } = 300;

    public int Clients { get; init; } = 16;

    public ChaosEngine Engine { get; init; } = new(TokensPerSecond: 120, OutputTokens: 48);

    /// <summary>Between two requests of a client at most.</summary>
    public TimeSpan Think { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long parts are stopped.</summary>
    public IReadOnlyList<TimeSpan> Stops { get; init; } = [TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(7)];

    /// <summary>
    /// Whether some requests come as events, and links from sidecars to the broker are harmed. In three of the eight runs that had them, events published while daprd or its broker was harmed had no
    /// result within 100 s; the cause is not known yet. Until it is, CI leaves both out and <c>make chaos</c> has them (<c>CHAOS_EVENTS=1</c> alone switches the events on).
    /// </summary>
    public bool SendsEvents { get; init; }

    /// <summary>See <see cref="SendsEvents"/>.</summary>
    public bool HarmsSidecarsLinks { get; init; }

    public IReadOnlyList<string> Faults { get; init; } = [];

    /// <summary>What a request may take.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>What a client bears, all its tries together.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(100);

    public static ChaosSettings FromEnvironment()
    {
        var settings = new ChaosSettings { Seed = Number("CHAOS_SEED") ?? Random.Shared.Next(1_000_000), Faults = (Environment.GetEnvironmentVariable("CHAOS_FAULTS") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries) };
        if (Number("CHAOS_REQUESTS") is { } requests) settings = settings with { Requests = requests };
        if (Number("CHAOS_EVENTS") is 1) settings = settings with { SendsEvents = true };
        return Number("CHAOS_LONG") is null
            ? settings
            : settings with
            {
                Stops = [TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(60)],
                Clients = 64,
                RequestTimeout = TimeSpan.FromMinutes(5),
                Patience = TimeSpan.FromMinutes(10),
                HarmsSidecarsLinks = true,
                SendsEvents = true,
                Engine = new(TokensPerSecond: 400, OutputTokens: 64),
            };
    }

    private static int? Number(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.Integer, CultureInfo.InvariantCulture, out var value) ? value : null;
}
