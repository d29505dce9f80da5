namespace Serverless.Cli.Client;

/// <summary>A call to a gateway that was refused, or failed. The message is for the person at the terminal.</summary>
internal sealed class ServingClientException(string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>Whether no gateway answered at all.</summary>
    public bool IsUnreachable { get; init; }
}
