namespace Serverless.Demand;

/// <summary>Tokens or requests that arrive per second, as an exponentially decaying average. Not thread-safe.</summary>
internal sealed class ArrivalRate(double timeConstant = ArrivalRate.DefaultTimeConstant)
{
    /// <summary>In seconds; a rate times it is what came, fading by age.</summary>
    public const double DefaultTimeConstant = 30;

    private double _sum;
    private DateTimeOffset _at;

    public void Add(double count, DateTimeOffset now) => (_sum, _at) = (Decayed(now) + count, now);

    public double PerSecond(DateTimeOffset now) => Decayed(now) / timeConstant;

    private double Decayed(DateTimeOffset now) => _sum * Math.Exp(-Math.Max(0, (now - _at).TotalSeconds) / timeConstant);
}
