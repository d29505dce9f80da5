namespace Serverless.Hosting.RabbitMq.Queues;

/// <summary>A queue of ours, as it is declared: durable, not exclusive, never deleted by itself.</summary>
public sealed record QueueDeclaration(string Name, string Type, IReadOnlyDictionary<string, object> Arguments)
{
    /// <summary>A durable fanout exchange that feeds it, where others publish by one; null: only the default exchange does.</summary>
    public string? Exchange { get; init; }
}
