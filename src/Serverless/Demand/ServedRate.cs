namespace Serverless.Demand;

/// <summary>Tokens served per second of work, as an exponentially decaying average: time without work does not count, so that a pause says nothing about speed, nor a clock that is set or a machine that slept. Not thread-safe.</summary>
internal sealed class ServedRate
{
    private const double TimeConstantSeconds = 60;

    private double _tokens;
    private double _seconds;
    private TimeSpan? _busySince;

    /// <summary>0 while nothing was served.</summary>
    public double PerSecond => _seconds > 0 ? _tokens / _seconds : 0;

    public void Add(long tokens) => _tokens += tokens;

    /// <summary>Says whether there is work from now on.</summary>
    /// <param name="now">Time that has passed since any moment, the same each time.</param>
    /// <param name="busy">Whether there is.</param>
    public void Tick(TimeSpan now, bool busy)
    {
        if (_busySince is { } since && now > since)
        {
            var passed = (now - since).TotalSeconds;
            var kept = Math.Exp(-passed / TimeConstantSeconds);
            _tokens *= kept;
            _seconds = (_seconds * kept) + passed;
        }

        _busySince = busy ? now : null;
    }
}
