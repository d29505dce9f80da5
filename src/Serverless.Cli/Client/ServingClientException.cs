namespace Serverless.Cli.Client;

/// <summary>The server's own sentence, or why it could not be reached.</summary>
internal sealed class ServingClientException(string message, Exception? inner = null) : Exception(message, inner);
