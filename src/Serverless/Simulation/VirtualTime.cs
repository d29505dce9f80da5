namespace Serverless.Simulation;

/// <summary>A clock that stands where the replay is.</summary>
internal sealed class VirtualTime : TimeProvider
{
    public static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Seconds since the replay began.</summary>
    public double Seconds { get; set; }

    public DateTimeOffset Now => Start.AddTicks((long)(Seconds * TimeSpan.TicksPerSecond));

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => Now;

    public override long GetTimestamp() => (long)(Seconds * TimeSpan.TicksPerSecond);
}
