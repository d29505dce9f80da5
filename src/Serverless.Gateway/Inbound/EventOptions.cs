using System.ComponentModel.DataAnnotations;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;
using Serverless.Events;
using Serverless.Requests;

namespace Serverless.Gateway.Inbound;

/// <summary>Requests that come as events: on which topics, whose they are, and what they may ask for. Services on the bus are trusted as one tenant unless they may name another.</summary>
public sealed partial class EventOptions
{
    public const string Section = "Gateway:Events";

    /// <summary>May name any owner.</summary>
    private const string Anybody = "*";

    /// <summary>More topics whose events are requests, beside <c>serverless.requests</c>; over Dapr each has a subscription too (<c>docs/events.md</c>). Default: none.</summary>
    public IList<string>? Topics { get; set; }

    /// <summary>Organization of all requests that come as events and name no other. Default: <c>local</c>.</summary>
    [Required, RegularExpression("[A-Za-z0-9._-]{1,64}")]
    public string Organization { get; set; } = "local";

    /// <summary>Team of them: keys of this team see them. Default: <c>local</c>.</summary>
    [Required, RegularExpression("[A-Za-z0-9._-]{1,64}")]
    public string Team { get; set; } = "local";

    /// <summary>Other owners that an event may name, <c>ORGANIZATION/TEAM</c>; <c>*</c> for any. Default: none.</summary>
    public IList<string>? Owners { get; set; }

    /// <summary>The highest lane that an event may ask for: <c>realtime</c>, <c>interactive</c> or <c>batch</c>. Default: interactive.</summary>
    [Required]
    public string HighestLane { get; set; } = "interactive";

    /// <summary>Topics on which an event may ask to be answered (<c>replyTo</c>). Default: none; results are on <c>serverless.results</c>.</summary>
    public IList<string>? ReplyTopics { get; set; }

    /// <summary>All of them.</summary>
    internal IReadOnlyList<string> AllTopics => [.. new[] { EventTopics.Requests }.Concat(Topics ?? []).Distinct(StringComparer.Ordinal)];

    /// <summary>Whether an event may name this owner.</summary>
    internal bool MayName(string organization, string team) =>
        (organization == Organization && team == Team) || Owners?.Any(owner => owner == Anybody || owner == $"{organization}/{team}") == true;

    /// <summary>Why others may not have a topic of this name, as the end of a sentence; null: they may.</summary>
    internal static string? FaultOf(string topic)
    {
        if (!TopicText().IsMatch(topic)) return "; a topic has 1 to 200 letters, digits, dots, dashes and underscores.";
        return topic is EventTopics.Results or EventTopics.RequestsDead or EventTopics.Streams ? ", which is the gateways' own; take another topic." : null;
    }

    /// <summary>An owner as an event and these options write it; null: it is none.</summary>
    internal static (string Organization, string Team)? ReadOwner(string text) => OwnerText().Match(text) is { Success: true } match ? (match.Groups[1].Value, match.Groups[2].Value) : null;

    [GeneratedRegex(@"\A([A-Za-z0-9._-]{1,64})/([A-Za-z0-9._-]{1,64})\z", RegexOptions.None, 1000)]
    private static partial Regex OwnerText();

    [GeneratedRegex(@"\A[A-Za-z0-9._-]{1,200}\z", RegexOptions.None, 1000)]
    private static partial Regex TopicText();

    [OptionsValidator]
    internal sealed partial class Validator : IValidateOptions<EventOptions>;

    /// <summary>What annotations cannot say.</summary>
    internal sealed class ValueValidator : IValidateOptions<EventOptions>
    {
        public ValidateOptionsResult Validate(string? name, EventOptions options)
        {
            List<string> faults = [];
            foreach (var (list, topic) in (options.Topics ?? []).Select(topic => (nameof(Topics), topic)).Concat((options.ReplyTopics ?? []).Select(topic => (nameof(ReplyTopics), topic))))
            {
                if (FaultOf(topic) is { } fault) faults.Add($"{Section}:{list} has '{topic}'{fault}");
            }

            foreach (var topic in options.AllTopics.Intersect(options.ReplyTopics ?? [], StringComparer.Ordinal))
                faults.Add($"{Section}:{nameof(ReplyTopics)} has '{topic}', whose events are requests: an answer there would be asked for again. Take another topic.");

            foreach (var owner in (options.Owners ?? []).Where(owner => owner != Anybody && ReadOwner(owner) is null))
                faults.Add($"{Section}:{nameof(Owners)} has '{owner}'; it takes ORGANIZATION/TEAM, such as 'acme/research', or '*' for any.");
            if (!Lanes.TryParse(options.HighestLane, out _)) faults.Add($"{Section}:{nameof(HighestLane)} is '{options.HighestLane}'; it takes realtime, interactive or batch.");
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
        }
    }
}
