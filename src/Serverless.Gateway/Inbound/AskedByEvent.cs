using System.Globalization;
using System.Text;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Requests;

namespace Serverless.Gateway.Inbound;

/// <summary>What an event asks for, read and permitted.</summary>
/// <param name="Origin">The event.</param>
/// <param name="Payload">What it says.</param>
/// <param name="Owner">Whose it is.</param>
internal sealed record AskedByEvent(EventOrigin Origin, EventPayload Payload, Owner Owner)
{
    /// <summary>Its name: of source and id, so that an event that comes again is the same request.</summary>
    public RequestId Id => IdAt(Payload.Endpoint);

    /// <exception cref="ServingException">It asks for nothing, or for what it may not.</exception>
    public static AskedByEvent Read(CloudEvent cloudEvent, EventOptions options)
    {
        var payload = EventPayload.Parse(cloudEvent.Data);
        var owner = OwnerOf(options);
        if (payload.Owner is var (organization, team))
        {
            if (!options.MayName(organization, team)) throw Refused($"'owner' is '{organization}/{team}', which events may not name here. Leave it out, or ask an operator to add it to {EventOptions.Section}:{nameof(EventOptions.Owners)}.", "owner");
            owner = new Owner(organization, team, EventOrigin.Key);
        }

        var highest = HighestLane(options);
        if (payload.Priority is { } lane && lane < highest) throw Refused($"'priority' is '{lane.Name()}'; the highest lane of events is {highest.Name()}. Leave it out, or ask an operator to raise {EventOptions.Section}:{nameof(EventOptions.HighestLane)}.", "priority");

        if (payload.ReplyTo is { } topic && options.ReplyTopics?.Contains(topic) != true) throw Refused($"'replyTo' is '{topic}', to which nothing is published here. Leave it out (results come on '{EventTopics.Results}'), or ask an operator to add it to {EventOptions.Section}:{nameof(EventOptions.ReplyTopics)}.", "replyTo");

        var origin = OriginOf(cloudEvent) with { Fingerprint = Call.FingerprintOf(payload.Endpoint.Name, payload.Body), ReplyTo = payload.ReplyTo, Deltas = payload.Deltas };
        return new AskedByEvent(origin, payload, owner);
    }

    public static Owner OwnerOf(EventOptions options) => new(options.Organization, options.Team, EventOrigin.Key);

    public static Lane HighestLane(EventOptions options) => Lanes.TryParse(options.HighestLane, out var lane) ? lane : Lane.Interactive;

    public static EventOrigin OriginOf(CloudEvent cloudEvent) => new(cloudEvent.Source, cloudEvent.Id, cloudEvent.TraceParent);

    /// <summary>For how long its answer is wanted from now on; null: as the gateway has it.</summary>
    /// <exception cref="ServingException"><see cref="ServingError.DeadlineExceeded"/>: it is not wanted any more.</exception>
    public TimeSpan? TimeoutAt(DateTimeOffset now) => Payload.Deadline is { } deadline && deadline <= now
        ? throw new ServingException(new ServingFault(
            ServingError.DeadlineExceeded, string.Create(CultureInfo.InvariantCulture, $"'deadline' is {deadline:O}, which is over at {now:O}, when the event is taken; nothing ran."), "deadline"))
        : Payload.Deadline - now;

    /// <summary>The name of an event of the owner of all events.</summary>
    public static RequestId IdOf(EventOrigin origin, ApiEndpoint endpoint) => RequestId.Derive(endpoint.IdPrefix, Encoding.UTF8.GetBytes($"{origin.Source}\n{origin.Id}"));

    /// <summary>What it would be called at an endpoint. The name of an owner that an event names is in it: others' requests have other names.</summary>
    public RequestId IdAt(ApiEndpoint endpoint) => Payload.Owner is null
        ? IdOf(Origin, endpoint)
        : RequestId.Derive(endpoint.IdPrefix, Encoding.UTF8.GetBytes($"{Origin.Source}\n{Origin.Id}\n{Owner.Organization}/{Owner.Team}"));

    private static ServingException Refused(string message, string param) => new(new ServingFault(ServingError.NotPermitted, message, param));
}
