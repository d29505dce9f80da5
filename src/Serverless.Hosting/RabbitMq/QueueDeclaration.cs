namespace Serverless.Hosting.RabbitMq;

/// <summary>A queue of ours, as it is declared: durable, not exclusive, never deleted by itself.</summary>
public sealed record QueueDeclaration(string Name, string Type, IReadOnlyDictionary<string, object> Arguments);
