using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Serverless.Gateway.Admission;

/// <summary>What a client would like, by the <c>Prefer</c> header (RFC 7240). What is not understood is passed over, as the RFC has it; what was followed is told in <c>Preference-Applied</c>.</summary>
/// <param name="RespondAsync">An answer that takes longer than <paramref name="Wait"/> may come by an id.</param>
/// <param name="Wait">How long to wait before that; zero when nothing was said.</param>
/// <param name="Resume">How long its request runs on after its client went, so that it may come back; at most <see cref="LongestResume"/>; null: nothing was said.</param>
internal readonly record struct Preferences(bool RespondAsync, TimeSpan Wait, TimeSpan? Resume)
{
    public static readonly TimeSpan LongestResume = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    public static Preferences Read(IHeaderDictionary headers)
    {
        if (!headers.TryGetValue("Prefer", out var values)) return default;

        var (respondAsync, wait, resume) = (false, (TimeSpan?)null, (TimeSpan?)null);
        foreach (var preference in values.SelectMany(value => (value ?? "").Split(',')))
        {
            // Parameters after a semicolon belong to preferences that have some; ours have none.
            var (name, value) = Split(preference.Split(';')[0]);
            if (name.Equals("respond-async", StringComparison.OrdinalIgnoreCase)) respondAsync = true;
            else if (name.Equals("wait", StringComparison.OrdinalIgnoreCase)) wait ??= Seconds(value, LongestWait);
            else if (name.Equals("resume", StringComparison.OrdinalIgnoreCase)) resume ??= Seconds(value, LongestResume);
        }

        return new Preferences(respondAsync, wait ?? TimeSpan.Zero, resume);
    }

    /// <summary>As <c>Preference-Applied</c> says that an answer came, or may come, by an id.</summary>
    public string RespondAsyncApplied => Wait == TimeSpan.Zero ? "respond-async" : string.Create(CultureInfo.InvariantCulture, $"respond-async, wait={Wait.TotalSeconds:0}");

    private static (string Name, string Value) Split(string preference)
    {
        var equals = preference.IndexOf('=', StringComparison.Ordinal);
        return equals < 0 ? (preference.Trim(), "") : (preference[..equals].Trim(), preference[(equals + 1)..].Trim().Trim('"'));
    }

    private static TimeSpan? Seconds(string text, TimeSpan limit) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? TimeSpan.FromSeconds(Math.Min(seconds, limit.TotalSeconds)) : null;
}
