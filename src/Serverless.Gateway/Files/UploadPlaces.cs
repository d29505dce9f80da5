namespace Serverless.Gateway.Files;

/// <summary>How many uploads are received at once. One organization takes at most half of the places, so that nobody keeps all others out by sending slowly. Thread-safe.</summary>
internal sealed class UploadPlaces(int most)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, int> _taken = new(StringComparer.Ordinal);
    private int _all;

    /// <summary>False: there is none for it now. A place that was taken is given back by <see cref="Return"/>.</summary>
    public bool TryTake(string organization)
    {
        lock (_lock)
        {
            var own = _taken.GetValueOrDefault(organization);
            if (_all >= most || own >= (most + 1) / 2) return false;

            (_taken[organization], _all) = (own + 1, _all + 1);
            return true;
        }
    }

    /// <summary>Gives one back.</summary>
    public void Return(string organization)
    {
        lock (_lock)
        {
            _all--;
            if (--_taken[organization] == 0) _taken.Remove(organization);
        }
    }
}
