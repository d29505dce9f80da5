namespace Serverless.Requests;

/// <summary>Tokens that leave a queue per second, as an exponentially decaying average that is right from its first seconds on. Not thread-safe.</summary>
internal sealed class LeavingRate
{
    private const double TimeConstantSeconds = 10;

    private double _tokens;
    private DateTimeOffset _first;
    private DateTimeOffset _last;

    public void Add(double tokens, DateTimeOffset now)
    {
        if (_tokens == 0) _first = now;
        (_tokens, _last) = (Decayed(now) + tokens, now);
    }

    /// <summary>0 while nothing has left, or has not for a second.</summary>
    public double PerSecond(DateTimeOffset now)
    {
        var age = (now - _first).TotalSeconds;
        return _tokens == 0 || age < 1 ? 0 : Decayed(now) / (TimeConstantSeconds * (1 - Math.Exp(-age / TimeConstantSeconds)));
    }

    private double Decayed(DateTimeOffset now) => _tokens * Math.Exp(-Math.Max(0, (now - _last).TotalSeconds) / TimeConstantSeconds);
}
