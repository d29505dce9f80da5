namespace Serverless.Events;

/// <summary>Topics of the platform.</summary>
public static class EventTopics
{
    /// <summary>Requests from other services.</summary>
    public const string Requests = "serverless.requests";

    /// <summary>Among gateways: streams of output that are to be told. One lies in the broker until it is at its end, so that what a lost gateway began another goes on with.</summary>
    public const string Streams = "serverless.streams";

    /// <summary>Ends of promised requests.</summary>
    public const string Results = "serverless.results";

    /// <summary>Events of <see cref="Requests"/>, and of other topics whose events are requests, that were not taken: as they came, with the reason (<see cref="DeadEvent"/>).</summary>
    public const string RequestsDead = Requests + ".dead";
}
