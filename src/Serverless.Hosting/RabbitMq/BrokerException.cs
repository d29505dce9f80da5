namespace Serverless.Hosting.RabbitMq;

/// <summary>The broker cannot be used; the message says which, why, and what to do.</summary>
public sealed class BrokerException(string message, Exception? inner = null) : Exception(message, inner);
