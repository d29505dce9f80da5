using System.Globalization;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>How a run goes; by environment for <c>make chaos</c>: <c>CHAOS_REQUESTS</c>, <c>CHAOS_SEED</c>, <c>CHAOS_LONG=1</c> for pauses of 20 and 60 seconds, <c>CHAOS_FAULTS</c> for some faults only.</summary>
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

    /// <summary>When whoever sent an event and has no result sends it again: it comes under the same id, and is the same request.</summary>
    public TimeSpan SentAgain { get; init; } = TimeSpan.FromSeconds(15);

    public IReadOnlyList<string> Faults { get; init; } = [];

    /// <summary>What a request may take.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>What a client bears, all its tries together.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(100);

    public static ChaosSettings FromEnvironment()
    {
        var settings = new ChaosSettings { Seed = Number("CHAOS_SEED") ?? Random.Shared.Next(1_000_000), Faults = (Environment.GetEnvironmentVariable("CHAOS_FAULTS") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries) };
        if (Number("CHAOS_REQUESTS") is { } requests) settings = settings with { Requests = requests };
        return Number("CHAOS_LONG") is null
            ? settings
            : settings with
            {
                Stops = [TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(60)],
                Clients = 64,
                RequestTimeout = TimeSpan.FromMinutes(5),
                Patience = TimeSpan.FromMinutes(10),
                SentAgain = TimeSpan.FromMinutes(1),
                Engine = new(TokensPerSecond: 400, OutputTokens: 64),
            };
    }

    private static int? Number(string name) => int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.Integer, CultureInfo.InvariantCulture, out var value) ? value : null;
}
