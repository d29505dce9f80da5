using System.Net;

namespace Serverless.Cli.Client;

/// <summary>A call to a gateway that was refused, or failed. The message is for the person at the terminal.</summary>
internal sealed class ServingClientException(string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>What was answered, if anything was.</summary>
    public HttpStatusCode? Status { get; init; }

    /// <summary>Whether no gateway answered at all, or what stands before it said that none does: it may come back.</summary>
    public bool IsUnreachable { get; init; }
}
