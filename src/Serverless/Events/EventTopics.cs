namespace Serverless.Events;

/// <summary>Topics of the platform.</summary>
public static class EventTopics
{
    /// <summary>Requests from other services.</summary>
    public const string Requests = "serverless.requests";

    /// <summary>Ends of promised requests.</summary>
    public const string Results = "serverless.results";
}
