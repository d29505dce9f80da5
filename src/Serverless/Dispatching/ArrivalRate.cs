namespace Serverless.Dispatching;

/// <summary>Tokens that arrive per second, as an exponentially decaying average. Not thread-safe.</summary>
internal sealed class ArrivalRate(double timeConstant = 30)
{
    private double _tokens;
    private DateTimeOffset _at;

    public void Add(double tokens, DateTimeOffset now) => (_tokens, _at) = (Decayed(now) + tokens, now);

    public double PerSecond(DateTimeOffset now) => Decayed(now) / timeConstant;

    private double Decayed(DateTimeOffset now) => _tokens * Math.Exp(-Math.Max(0, (now - _at).TotalSeconds) / timeConstant);
}
