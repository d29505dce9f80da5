using System.Net.Sockets;
using RabbitMQ.Client.Exceptions;
using Serverless.Errors;

namespace Serverless.Hosting.RabbitMq;

/// <summary>What the client throws, as what callers of ports are told.</summary>
internal static class BrokerFaults
{
    /// <summary>Whether it says that the broker or the connection is not there, or does not take it now.</summary>
    public static bool IsOutage(Exception exception) => exception
        is OperationInterruptedException or BrokerUnreachableException or PublishException or ObjectDisposedException or TimeoutException or IOException or SocketException
        or OperationCanceledException or InvalidOperationException;

    public static ServingFault Unavailable(string why) =>
        new(ServingError.StoreUnavailable, $"The request queue cannot be reached now ({why}). Nothing was promised; try again later.");
}
