namespace Serverless.Inference.Batching;

/// <summary>Lets text through up to the first stop string, and holds back an end that may become one. Not thread-safe.</summary>
public sealed class StopMatcher(IReadOnlyList<string> stops)
{
    private string _held = "";

    /// <summary>Text that may yet turn out to be part of a stop string.</summary>
    public string Held => _held;

    /// <summary>Adds text; returns what may be shown. <paramref name="stopped"/>: a stop string was reached, and nothing follows.</summary>
    public string Add(string text, out bool stopped)
    {
        stopped = false;
        if (stops.Count == 0) return text;

        var all = _held + text;
        var end = stops.Select(stop => all.IndexOf(stop, StringComparison.Ordinal)).Where(at => at >= 0).DefaultIfEmpty(-1).Min();
        if (end >= 0)
        {
            stopped = true;
            _held = "";
            return all[..end];
        }

        var hold = LongestBeginning(all);
        _held = all[^hold..];
        return all[..^hold];
    }

    /// <summary>The end came: what was held back is text after all.</summary>
    public string Flush()
    {
        var rest = _held;
        _held = "";
        return rest;
    }

    private int LongestBeginning(string text)
    {
        for (var length = Math.Min(text.Length, stops.Max(stop => stop.Length) - 1); length > 0; length--)
        {
            var end = text[^length..];
            if (stops.Any(stop => stop.StartsWith(end, StringComparison.Ordinal))) return length;
        }

        return 0;
    }
}
