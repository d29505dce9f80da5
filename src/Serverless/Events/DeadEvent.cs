using Serverless.Errors;

namespace Serverless.Events;

/// <summary>An event that was refused for good, as it lies among the dead letters: as it came, with the reason beside it as extension attributes.</summary>
public static class DeadEvent
{
    /// <summary>What was wrong, as a word of the table of errors.</summary>
    public const string Code = "deadlettercode";

    /// <summary>The same as a sentence.</summary>
    public const string Reason = "deadletterreason";

    /// <summary>The field at fault.</summary>
    public const string Param = "deadletterparam";

    /// <summary>The topic on which it came.</summary>
    public const string Topic = "deadlettertopic";

    /// <summary>Some brokers bound what stands beside a message.</summary>
    private const int LongestReason = 1024;

    /// <summary>The dead letter of an event.</summary>
    public static CloudEvent Of(CloudEvent refused, string topic, ServingFault? fault)
    {
        ArgumentNullException.ThrowIfNull(refused);
        var extensions = new Dictionary<string, string>(refused.Extensions, StringComparer.Ordinal)
        {
            [Topic] = topic,
            [Code] = fault is null ? "refused" : ServingErrors.WordOf(fault),
            [Reason] = Text(fault?.Message ?? "Its handler gave no reason."),
        };
        if (fault?.Param is { } param) extensions[Param] = Text(param);
        return refused with { Extensions = extensions };
    }

    /// <summary>Attributes hold no control characters.</summary>
    private static string Text(string text) =>
        string.Create(Math.Min(text.Length, LongestReason), text, (span, from) =>
        {
            for (var i = 0; i < span.Length; i++) span[i] = char.IsControl(from[i]) || char.IsSurrogate(from[i]) ? ' ' : from[i];
        });
}
