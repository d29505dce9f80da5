using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;
using Serverless.Errors;

namespace Serverless.Hosting.RabbitMq.Connection;

/// <summary>What the client throws, as what callers of ports are told.</summary>
internal static class BrokerFaults
{
    /// <summary>What only a mistake of ours can cause. Everything else is the broker's or the network's trouble, whatever the client calls it today: the request queue is unavailable, and comes back.</summary>
    private static readonly Type[] Ours =
    [
        typeof(ArgumentException), typeof(NullReferenceException), typeof(InvalidCastException), typeof(IndexOutOfRangeException), typeof(KeyNotFoundException), typeof(NotImplementedException),
        typeof(OutOfMemoryException), typeof(ServingException),
    ];

    /// <summary>Reply codes by which a broker says that a client of it is faulty.</summary>
    private static readonly int[] OursByCode =
    [
        Constants.FrameError, Constants.SyntaxError, Constants.CommandInvalid, Constants.ChannelError, Constants.UnexpectedFrame, Constants.NotImplemented,
    ];

    /// <summary>Whether it says that the broker or the connection is not there, or does not take it now.</summary>
    public static bool IsOutage(Exception exception) => !Array.Exists(Ours, type => type.IsInstanceOfType(exception));

    /// <summary>Whether the broker closed for a mistake of ours: all that was on the connection suffers, and it is lost again when the same is sent again.</summary>
    public static bool IsOurs(ShutdownEventArgs reason) => Array.IndexOf(OursByCode, reason.ReplyCode) >= 0;

    /// <summary>Whether it says that there is no such queue. The same code is given for one whose node is down, which is there and comes back.</summary>
    public static bool IsNoQueue(Exception exception) =>
        exception is OperationInterruptedException { ShutdownReason: { ReplyCode: Constants.NotFound } reason } && reason.ReplyText.Contains("no queue '", StringComparison.Ordinal);

    public static ServingFault Unavailable(string why) =>
        new(ServingError.StoreUnavailable, $"The request queue cannot be reached now ({why}). Nothing was promised; try again later.");
}
