namespace Serverless.EndToEndTests.Parts;

/// <summary>What a sidecar is started with; a port that is not named is a free one.</summary>
internal sealed record DaprdSettings
{
    public required string AppId { get; init; }

    /// <summary>Where it runs: relative paths of resources and components start there.</summary>
    public required string Folder { get; init; }

    public int? AppPort { get; init; }

    public int? HttpPort { get; init; }

    public int? GrpcPort { get; init; }

    public int? MetricsPort { get; init; }

    /// <summary>All other flags.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();
}
