using Serverless.Errors;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Waiting;
using Serverless.Requests;

namespace Serverless.Gateway.Requests;

/// <summary>A request that was taken, for one that asked for it: what it follows, and what that has come to. Not thread-safe; given back to <see cref="HeldRequests.LeaveAsync"/>.</summary>
internal sealed class Ticket
{
    /// <summary>Its own id, or that of the request it turned out to ask for again.</summary>
    public required RequestId Id { get; init; }

    /// <summary>Its log's head as it was opened or read.</summary>
    public required LogHead Head { get; init; }

    public required AnswerShape Shape { get; init; }

    /// <summary>The request with its body; null for whoever only follows.</summary>
    public InferenceRequest? Request { get; init; }

    /// <summary>When it is submitted; null for whoever only follows.</summary>
    public Submission? Submission { get; init; }

    /// <summary>What it waited for when it came; null: it joined one that was there.</summary>
    public WaitEstimate? Wait { get; set; }

    /// <summary>When an id takes over its promise; null: never.</summary>
    public DateTimeOffset? PromoteAt { get; init; }

    /// <summary>Whom to call when it has ended, if an id promises it; null: nobody.</summary>
    public Uri? Callback { get; init; }

    /// <summary>Timestamp of the call's arrival; 0 for whoever does not measure the wait.</summary>
    public long ArrivedAt { get; init; }

    /// <summary>Whether this one holds the request, so that its going away counts.</summary>
    public bool Holds { get; set; }

    /// <summary>Whether it was counted as waiting. Written where it is submitted and by the follower.</summary>
    public bool Waits { get; set; }

    /// <summary>Whether a replica has begun with it. Written by the follower.</summary>
    public bool Begun { get; set; }

    /// <summary>Whether its end was seen. Written by the follower.</summary>
    public bool Ended { get; set; }

    /// <summary>Whether it goes on without this one: an id promises it, or its client may come back for it.</summary>
    public bool HandedOn { get; set; }

    /// <summary>Whether it was refused before anybody had it, so that nobody else may wait for it. Written where it is submitted.</summary>
    public bool Refused { get; set; }

    /// <summary>Why it failed; null while it has not. Written by the follower, and by the face that cannot send it on.</summary>
    public ServingFault? Fault { get; set; }

    /// <summary>Why it ended badly, or null: no one was there to the end, unless it ended or was handed on.</summary>
    public ServingError? Error => Fault?.Error ?? (Ended || HandedOn ? null : ServingError.Cancelled);
}

/// <summary>What became of a call that was not refused.</summary>
internal abstract record Submitted
{
    private Submitted()
    {
    }

    /// <summary>It is to be followed.</summary>
    public sealed record Taken(Ticket Ticket) : Submitted;

    /// <summary>An id promises it.</summary>
    public sealed record ById(Ticket Ticket) : Submitted;

    /// <summary>The same call was answered before: so.</summary>
    public sealed record Before(RequestRecord Record) : Submitted;
}
