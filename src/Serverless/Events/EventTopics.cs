namespace Serverless.Events;

/// <summary>Topics of the platform.</summary>
public static class EventTopics
{
    /// <summary>Requests from other services.</summary>
    public const string Requests = "serverless.requests";

    /// <summary>Ends of promised requests.</summary>
    public const string Results = "serverless.results";

    /// <summary>Events of <see cref="Requests"/> that were not taken, as they came.</summary>
    public const string RequestsDead = Requests + ".dead";
}
