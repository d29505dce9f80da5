using System.Diagnostics.Metrics;

namespace Serverless.Hosting.Telemetry;

/// <summary>
/// Gauges of names that come and go. OpenTelemetry keeps a place for each combination of labels that an instrument ever told, as long as the instrument lives, and has
/// <see cref="Microsoft.Extensions.DependencyInjection.TelemetryServices.MostSeries"/> of them: so these are made anew, on a meter of their own, once many names are gone. A scrape in that moment may miss them. Thread-safe.
/// </summary>
public sealed class PassingGauges : IDisposable
{
    /// <summary>So many names may have gone meanwhile.</summary>
    internal const int MostGone = 1000;

    private readonly IMeterFactory _scope;
    private readonly string _name;
    private readonly Action<Meter, PassingGauges> _create;
    private readonly Action<Action> _later;
    private readonly Lock _telling = new();
    private readonly Lock _renewing = new(); // never taken by a callback: an exporter that collects may hold what a meter's end waits for
    private readonly HashSet<string> _told = new(StringComparer.Ordinal);
    private Meter? _meter;

    /// <param name="scope">Whose meters they stand beside.</param>
    /// <param name="name">The meter's name.</param>
    /// <param name="create">Makes the gauges, of which one says of whom they are (<see cref="Telling"/>).</param>
    /// <param name="later">Runs what must not run in a callback; the thread pool if not given.</param>
    public PassingGauges(IMeterFactory scope, string name, Action<Meter, PassingGauges> create, Action<Action>? later = null)
    {
        (_scope, _name, _create) = (scope, name, create);
        _later = later ?? (static action => ThreadPool.QueueUserWorkItem(static act => act(), action, preferLocal: false));
        _meter = Open();
    }

    /// <summary>Of these something is told now, in a callback of one of the gauges.</summary>
    public void Telling(IEnumerable<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        lock (_telling)
        {
            var living = 0;
            foreach (var name in names)
            {
                living++;
                _told.Add(name);
            }

            if (_told.Count - living <= MostGone) return;
            _told.Clear();
        }

        _later(Renew);
    }

    public void Dispose()
    {
        lock (_renewing)
        {
            _meter?.Dispose();
            _meter = null;
        }
    }

    private void Renew()
    {
        lock (_renewing)
        {
            if (_meter is null) return;
            _meter.Dispose();
            _meter = Open();
        }
    }

    private Meter Open()
    {
        var meter = new Meter(new MeterOptions(_name) { Scope = _scope });
        _create(meter, this);
        return meter;
    }
}
